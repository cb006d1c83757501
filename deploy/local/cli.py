"""``stack up | down | status | install``: the local stack from the command line."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.local.errors import StackError
from deploy.local.server import Server
from deploy.local.stack import COMPONENTS, DEFAULT_DIRECTORY, LocalStack
from deploy.local.steps import REPOSITORY

stack_app = typer.Typer(
    name="stack",
    help="Kafka, Redis, Triton and a photo host on this machine, for the demo and for development.",
    no_args_is_help=True,
)
_console = Console()
_errors = Console(stderr=True)

_Directory = Annotated[Path, typer.Option(help="Where data, ports and logs lie.")]
_Components = Annotated[
    list[str] | None, typer.Argument(help=f"Which servers: {', '.join(COMPONENTS)}; all by default.")
]


@stack_app.command()
def up(
    components: _Components = None,
    directory: _Directory = DEFAULT_DIRECTORY,
    model_repository: Annotated[Path, typer.Option(help="What Triton serves.")] = REPOSITORY / "triton_models",
    photos: Annotated[Path | None, typer.Option(help="The folder that the photo host serves.")] = None,
) -> None:
    """Install what is missing, start what does not run, and leave it running."""
    try:
        stack = LocalStack(
            directory,
            components=components or COMPONENTS,
            model_repository=model_repository,
            photos=photos,
        )
        with _console.status("Starting Kafka, Redis, Triton and the photo host (the first time they are installed) …"):
            stack.start()
    except (StackError, ValueError) as error:
        _fail(error)
    _console.print(_table(stack))
    _console.print("\nFor a worker that uses this stack:\n")
    for name, value in stack.settings().items():
        _console.print(f"export {name}={shlex.quote(value)}", highlight=False, soft_wrap=True)


@stack_app.command()
def install(components: _Components = None) -> None:
    """Install what is missing, and start nothing."""
    try:
        LocalStack(components=components or COMPONENTS).install()
    except (StackError, ValueError) as error:
        _fail(error)


@stack_app.command()
def down(components: _Components = None, directory: _Directory = DEFAULT_DIRECTORY) -> None:
    """Stop the servers. Data, ports and logs stay for the next time."""
    try:
        stack = LocalStack(directory, components=components or COMPONENTS)
        running = [server.name for server in stack.servers if server.running]
        stack.stop()
    except (StackError, ValueError) as error:
        _fail(error)
    _console.print(f"Stopped {', '.join(running)}." if running else "Nothing was running.")


@stack_app.command()
def status(directory: _Directory = DEFAULT_DIRECTORY) -> None:
    """Show every server; exit with 1 unless all of them answer."""
    stack = LocalStack(directory)
    _console.print(_table(stack))
    if not stack.is_ready():
        raise typer.Exit(1)


def _table(stack: LocalStack) -> Table:
    table = Table(
        "server",
        "state",
        "pid",
        "ports",
        "uptime",
        caption=f"logs: {_shortened(stack.directory)}/<server>/logs/server.log",
    )
    for server in stack.servers:
        identity = server.identity
        table.add_row(
            server.name,
            _state(server),
            str(identity.pid) if identity else "",
            ", ".join(f"{name} {port}" for name, port in server.ports.items()),
            _duration(identity.uptime) if identity else "",
        )
    return table


def _state(server: Server) -> str:
    if not server.running:
        return "[dim]stopped"
    return "[green]ready" if server.is_ready() else "[yellow]not ready"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def _shortened(path: Path) -> str:
    working = Path.cwd()
    return str(path.relative_to(working)) if path.is_relative_to(working) else str(path)


def _fail(error: Exception) -> None:
    _errors.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    stack_app()
