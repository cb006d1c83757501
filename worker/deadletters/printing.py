"""Dead letters on a terminal (tables) or in a pipe (tab-separated lines, no colours)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.deadletters.letter import DeadLetter


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str) -> None:
    """Print rows of strangers' texts: nothing in them can steer the terminal, or break a line in a pipe."""
    console = Console()
    safe = [[printable(cell) for cell in row] for row in rows]
    if not console.is_terminal:
        for row in [columns, *safe]:
            typer.echo("\t".join(row))
        return
    shown = Table(*columns, title=title)
    for row in safe:
        shown.add_row(*(Text(cell) for cell in row))
    console.print(shown)


def details(letter: DeadLetter, *, redriven: bool, max_bytes: int) -> None:
    """Print one dead letter: its history, the original headers, and the first ``max_bytes`` of the original."""
    source = letter.source
    facts = {
        "dead letter": letter.place,
        "written": letter.written.isoformat(timespec="milliseconds"),
        "reason": letter.reason,
        "message": letter.message,
        "attempts": str(letter.attempts),
        "first failure": letter.first_failure.isoformat(timespec="milliseconds"),
        "source": f"{source.topic} {source.partition}:{source.offset} of {source.timestamp.isoformat()}",
        "worker": letter.version,
        "redriven": "yes" if redriven else "no",
        "key": "(none)" if letter.key is None else text(letter.key, max_bytes),
    }
    for name, value in letter.headers:
        facts[f"header {name}"] = text(value or b"", max_bytes)
    for name, fact in facts.items():
        typer.echo(f"{printable(name)}: {printable(fact)}")
    typer.echo()
    if letter.omitted is not None:
        typer.echo(f"(the original, with {letter.omitted} bytes of value, is not kept here: read it at its source)")
    elif letter.value is None:
        typer.echo("(no value: a tombstone)")
    else:
        typer.echo(text(letter.value, max_bytes))


def text(data: bytes, max_bytes: int) -> str:
    """Bytes as UTF-8, cut to ``max_bytes``; what is not UTF-8 or not printable is escaped."""
    shown = printable(data[:max_bytes].decode("utf-8", "backslashreplace"))
    return shown if len(data) <= max_bytes else f"{shown}… ({len(data)} bytes)"


def printable(words: str) -> str:
    """A text without control characters; they are written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
