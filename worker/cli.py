"""``colour-worker``: the command line."""

from __future__ import annotations

import asyncio
import sys

import typer
from kafka.errors import KafkaError
from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from rich.console import Console
from rich.table import Table

from worker import service
from worker.errors import ColourTaggerError
from worker.observe import logs
from worker.settings import Settings, environment_name

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Gives every new marketplace listing one of 18 colours."
)
console = Console()


@app.command()
def run() -> None:
    """Tag new listings until SIGTERM."""
    settings = Settings.load()
    logs.configure(settings.observe)
    asyncio.run(service.run(settings))


@app.command(name="settings")
def list_settings() -> None:
    """List every setting with its environment variable, value and meaning."""
    settings = Settings.load()
    table = Table("environment variable", "value", "meaning", title="Settings")
    for group, info in Settings.model_fields.items():
        values = getattr(settings, group)
        table.add_section()
        for name, field in type(values).model_fields.items():
            value = getattr(values, name)
            default = field.get_default(call_default_factory=True)
            shown = "********" if isinstance(value, SecretStr) else str(value)
            style = "" if default is PydanticUndefined or value == default else "bold yellow"
            table.add_row(
                environment_name(group, name), f"[{style}]{shown}[/]" if style else shown, field.description or ""
            )
        del info
    console.print(table)


def main() -> None:
    """The console script: errors that a person can mend are one sentence, not a traceback."""
    try:
        app()
    except ColourTaggerError as error:
        Console(stderr=True).print(f"[bold red]{error}[/]", highlight=False)
        sys.exit(2)
    except KafkaError as error:
        Console(stderr=True).print(
            f"[bold red]Kafka: {type(error).__name__}: {error}[/]; is COLOUR_KAFKA__BOOTSTRAP_SERVERS right?",
            highlight=False,
        )
        sys.exit(3)
