"""``colour-worker deadletters``: list, show, stats, redrive."""

from __future__ import annotations

import heapq
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console

from worker.deadletters import printing
from worker.deadletters.ledger import Ledger
from worker.deadletters.letter import DeadLetter
from worker.deadletters.reading import Snapshot
from worker.deadletters.redrive import Tally
from worker.deadletters.redrive import redrive as redrive_letters
from worker.deadletters.selection import Selection, parse_time
from worker.errors import Reason
from worker.observe import logs
from worker.settings import Settings
from worker.stream.topics import Topics

deadletters_app = typer.Typer(
    no_args_is_help=True, help="Look at events that were given up, and put them back once the cause is mended."
)

Reasons = Annotated[list[Reason] | None, typer.Option("--reason", help="Only this reason; may be repeated.")]
Since = Annotated[str | None, typer.Option(help="Written at or after: 2026-01-31T12:00:00Z, or 36h for so long ago.")]
Until = Annotated[str | None, typer.Option(help="Written before; as --since.")]
Listing = Annotated[str | None, typer.Option(help="Only this listing id.")]


@deadletters_app.command("list")
def list_letters(
    *,
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    listing: Listing = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
) -> None:
    """List dead letters, newest first. In a pipe: tab-separated, with a line of names."""
    settings, names, notes = _open()
    with closing(_letters(settings, names.dead, _selection(reason, since, until, listing), notes)) as selected:
        newest = heapq.nlargest(
            limit,
            (letter.without_value() for letter in selected),
            key=lambda one: (one.written, one.partition, one.offset),
        )
    known = Ledger.read(settings, names.redriven)
    rows = (
        (
            letter.place, letter.written.isoformat(timespec="seconds"), letter.reason, letter.listing[:64],
            str(letter.attempts), "yes" if letter in known else "no", letter.message,
        )
        for letter in newest
    )  # fmt: skip
    columns = ("dead letter", "written", "reason", "listing", "attempts", "redriven", "message")
    printing.table(columns, rows, title=f"{names.dead}: the newest {len(newest)}")


@deadletters_app.command()
def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As list prints it.")],
    *,
    max_bytes: Annotated[int, typer.Option("--bytes", min=0, help="Of the original that are shown.")] = 2_000,
    raw: Annotated[bool, typer.Option("--raw", help="Only the original's bytes, all of them, as they are.")] = False,
) -> None:
    """Show one dead letter: why, where from, the original headers and bytes."""
    settings, names, notes = _open()
    numbers = place.split(":")
    if len(numbers) != 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise typer.BadParameter(f"{place!r} is no place; write partition:offset, for example 0:123")
    with Snapshot(settings, names.dead) as snapshot:
        record = snapshot.at(int(numbers[0]), int(numbers[1]))
    letter = DeadLetter.open(record) if record is not None else None
    if letter is None:
        notes.print(f"no dead letter of ours stands at {place} of {names.dead}, or not any more", markup=False)
        raise typer.Exit(1)
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        return
    redriven = letter in Ledger.read(settings, names.redriven)
    printing.details(letter, redriven=redriven, max_bytes=max_bytes)


@deadletters_app.command()
def stats(*, since: Since = None, until: Until = None, reason: Reasons = None, listing: Listing = None) -> None:
    """Count dead letters by day (UTC) and reason."""
    settings, names, notes = _open()
    known = Ledger.read(settings, names.redriven)
    counts: Counter[tuple[str, str]] = Counter()
    redriven: Counter[tuple[str, str]] = Counter()
    with closing(_letters(settings, names.dead, _selection(reason, since, until, listing), notes)) as selected:
        for letter in selected:
            kind = (letter.written.date().isoformat(), letter.reason)
            counts[kind] += 1
            redriven[kind] += letter in known
    rows = ((day, code, str(count), str(redriven[day, code])) for (day, code), count in sorted(counts.items()))
    title = f"{names.dead}: {counts.total():,} dead letters"
    printing.table(("day", "reason", "dead letters", "redriven"), rows, title=title)


@deadletters_app.command()
def redrive(
    *,
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    listing: Listing = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be put back; write nothing.")] = False,
) -> None:
    """Put originals back onto the topic of new listings, each exactly once.

    It may be interrupted, killed or repeated: what was put back is written down in the same Kafka transaction, and is
    not put back again. An event that fails again makes a new dead letter.
    """
    settings, names, notes = _open()
    tally = Tally()
    selection = _selection(reason, since, until, listing)
    with (
        notes.status("reading dead letters") as status,
        closing(redrive_letters(settings, selection, limit=limit, dry_run=dry_run)) as tallies,
    ):
        for tally in tallies:
            status.update(f"{tally.redriven:,} put back")
    _note_foreign(notes, tally.foreign)
    done = f"would be put back onto {names.created} (--dry-run)" if dry_run else f"put back onto {names.created}"
    typer.echo(f"{tally.redriven} {done}; {tally.before} were put back before")
    if tally.omitted:
        typer.echo(f"{tally.omitted} were too large to be kept: read them at their source offsets")


def _selection(reason: list[Reason] | None, since: str | None, until: str | None, listing: str | None) -> Selection:
    try:
        first, last = (None if time is None else parse_time(time) for time in (since, until))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return Selection(frozenset(reason or ()), first, last, listing)


def _letters(settings: Settings, topic: str, selection: Selection, notes: Console) -> Generator[DeadLetter]:
    foreign = 0
    with Snapshot(settings, topic) as snapshot:
        for record in snapshot.records(selection.since):
            letter = DeadLetter.open(record)
            if letter is None:
                foreign += 1
            elif letter in selection:
                yield letter
    _note_foreign(notes, foreign)


def _note_foreign(notes: Console, count: int) -> None:
    if count:
        notes.print(f"{count} records of the topic were written by somebody else and are left out", markup=False)


def _open() -> tuple[Settings, Topics, Console]:
    """Settings, topics, and a console on standard error for what should be known besides the answer."""
    settings = Settings.load()
    logs.configure(settings.observe)
    return settings, Topics.from_settings(settings), Console(stderr=True, highlight=False)
