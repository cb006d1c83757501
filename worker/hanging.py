"""``colour-worker hanging``: transactions that Kafka left open, for the person who has to decide how they ended."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from worker.observe import logs
from worker.settings import Settings
from worker.stream.hanging import Hanging
from worker.stream.mending import Mender
from worker.stream.topics import Topics

hanging_app = typer.Typer(
    no_args_is_help=True,
    help="Transactions that are over and still open in some partitions; docs/reliability.md, Hanging transactions.",
)


@hanging_app.command("list")
def list_hanging() -> None:
    """List them, one partition a line, tab-separated. The exit code is 1 if there are any."""
    found = _mender().find()
    for one in found:
        typer.echo("\t".join(_columns(one)))
    if found:
        raise typer.Exit(1)
    typer.echo("nothing hangs")


@hanging_app.command()
def end(
    name: Annotated[str, typer.Argument(metavar="TRANSACTIONAL_ID", help="As list prints it.")],
    *,
    committed: Annotated[
        Literal["as-remembered", "committed", "aborted"],
        typer.Option("--as", help="How the transaction ended; by default what its coordinator remembers."),
    ] = "as-remembered",
) -> None:
    """End a hanging transaction in all of its partitions. The exit code is 1 if one is left."""
    result = None if committed == "as-remembered" else committed == "committed"
    if _mender().end(name, committed=result):
        raise typer.Exit(1)
    typer.echo(f"{name}: nothing hangs")


def _mender() -> Mender:
    settings = Settings.load()
    logs.configure(settings.observe)
    return Mender(settings.kafka, settings.stream, Topics.from_settings(settings))


def _columns(one: Hanging) -> tuple[str, ...]:
    place = one.place
    ended = {True: "committed", False: "aborted", None: "unknown"}[one.committed]
    return (f"{place.partition.topic}/{place.partition.partition}", f"from {place.start}", one.name, ended)
