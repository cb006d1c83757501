"""``colour-worker``: the command line. Each command is a room of its own; here they only get their names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from rich.console import Console
from rich.table import Table

from deploy.local.cli import stack_app
from worker import schemas as documents
from worker.deadletters import deadletters_app
from worker.demo import demo
from worker.hanging import hanging_app
from worker.models.cli import models_app
from worker.publish import publish
from worker.replay import replay
from worker.settings import Settings, environment_name
from worker.shadow.command import compare
from worker.start import readable, run
from worker.stream import topics as topic_names

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Gives every new marketplace listing one of 18 colours.",
)
console = Console()
_CREDENTIALS = re.compile(r"//[^/@]+@")


app.command()(run)
app.command()(publish)
app.command()(demo)
app.command()(replay)
app.add_typer(deadletters_app, name="deadletters")
app.add_typer(hanging_app, name="hanging")
models_app.command()(compare)
app.add_typer(models_app, name="models")
app.add_typer(stack_app, name="stack")


@app.command()
def topics() -> None:
    """Create the topics that are missing."""
    settings = Settings.load()
    names = topic_names.Topics.from_settings(settings)
    made = topic_names.ensure(settings, names.all)
    for name in names.all:
        console.print(f"{name}  [dim]{'created' if name in made else 'there'}[/]", highlight=False)


@app.command(name="settings")
def list_settings() -> None:
    """List every setting with its environment variable, value and meaning."""
    settings = Settings.load()
    table = Table(title="Settings (changed ones are yellow)")
    table.add_column("environment variable", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("meaning")
    for group in Settings.model_fields:
        values = getattr(settings, group)
        table.add_section()
        for name, field in type(values).model_fields.items():
            value = getattr(values, name)
            shown = "********" if isinstance(value, SecretStr) else _CREDENTIALS.sub("//********@", str(value))
            default = field.get_default(call_default_factory=True)
            changed = field.default_factory is None and default is not PydanticUndefined and value != default
            table.add_row(
                environment_name(group, name), shown, field.description or "", style="yellow" if changed else ""
            )
    console.print(table)


@app.command()
def schemas(
    folder: Annotated[Path, typer.Option(help="Where the documents are written.")] = documents.FOLDER,
) -> None:
    """Write the JSON Schemas and the AsyncAPI document of the topics."""
    for path in documents.write(folder):
        console.print(str(path), highlight=False)


def main() -> None:
    """The command line with all its commands."""
    with readable():
        app()
