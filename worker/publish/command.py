"""The command: from a source to the topic, with a progress bar, a summary and an exit code."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from worker.events import ListingCreated
from worker.publish.draft import Unusable
from worker.publish.events import PhotoRoute, encode, make_event
from worker.publish.producer import ListingProducer
from worker.publish.sources import Source, open_source
from worker.settings import Settings
from worker.stream import topics

_LISTED = 20
"""Unusable rows that are shown one by one; the rest is counted."""


@dataclass(slots=True)
class Tally:
    """What became of the rows."""

    usable: int = 0
    unusable: list[Unusable] = field(default_factory=list)
    example: ListingCreated | None = None


def publish(
    source: Annotated[
        Path,
        typer.Argument(help="A .csv, .jsonl or folder of photos; Avito's train_data.csv is known by its columns."),
    ],
    *,
    topic: Annotated[str | None, typer.Option(help="Instead of COLOUR_TOPICS__CREATED.")] = None,
    photos: Annotated[Path | None, typer.Option(help="The folder of the photos, if not beside the file.")] = None,
    photos_base_url: Annotated[
        str | None, typer.Option(help="The address at which the worker finds that folder.")
    ] = None,
    inline: Annotated[bool, typer.Option("--inline", help="Put the photos' bytes into the events.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many listings.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make the events, show one, publish none.")] = False,
    encoding: Annotated[str, typer.Option(help="Of a CSV or JSONL.")] = "utf-8-sig",
) -> None:
    """Publish listings of your own to the topic of new listings.

    Published again, an unchanged listing has the same event_id. Rows that cannot be used are listed at the end. The
    exit code is 1 when Kafka did not take an event, or when no row was usable.
    """
    if inline and photos_base_url is not None:
        raise typer.BadParameter("give --inline or --photos-base-url, not both")
    settings = Settings.load()
    console = Console()
    opened = open_source(source, photos=photos, encoding=encoding)
    route = PhotoRoute(opened.folder, photos_base_url, inline)
    topic = topic or settings.topics.created
    console.print(f"[bold]{escape(str(source))}[/]: {opened.kind}", highlight=False)

    with ExitStack() as stack:
        producer = None
        if not dry_run:
            topics.ensure(settings, [topic])
            producer = stack.enter_context(
                ListingProducer(settings.kafka, topic, max_record_bytes=settings.stream.max_record_bytes)
            )
        tally = _publish_all(
            opened, route, producer, limit=limit, max_bytes=settings.stream.max_record_bytes, console=console
        )
        if producer is not None:
            producer.flush()
    _report(console, tally, producer, topic)
    if tally.usable == 0 or (producer is not None and producer.failures):
        raise typer.Exit(1)


def _publish_all(
    source: Source,
    route: PhotoRoute,
    producer: ListingProducer | None,
    *,
    limit: int | None,
    max_bytes: int,
    console: Console,
) -> Tally:
    tally = Tally()
    with Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[usable]:,} listings"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("publishing" if producer else "checking", total=source.total or None, usable=0)
        for position, row in source.rows:
            event = make_event(row, route, max_bytes=max_bytes)
            if isinstance(event, Unusable):
                tally.unusable.append(event)
            else:
                tally.usable += 1
                tally.example = tally.example or event
                if producer is not None:
                    producer.send(row.where, event.listing_id.encode(), encode(event))
            progress.update(task, completed=position, usable=tally.usable)
            if tally.usable == limit:
                break
        progress.update(task, completed=source.total)
    return tally


def _report(console: Console, tally: Tally, producer: ListingProducer | None, topic: str) -> None:
    if tally.unusable:
        table = Table("row", "why it was left out", title=f"Left out: {len(tally.unusable):,}")
        for row in tally.unusable[:_LISTED]:
            table.add_row(escape(row.where), escape(row.why))
        if len(tally.unusable) > _LISTED:
            table.add_row("…", f"and {len(tally.unusable) - _LISTED:,} more")
        console.print(table)
    if producer is None:
        if tally.example is not None:
            console.print("The first event:", _shortened(tally.example), highlight=False, markup=False, soft_wrap=True)
        console.print(f"{tally.usable:,} listings could be published; nothing was sent (--dry-run).", highlight=False)
        return
    console.print(f"[green]{producer.delivered:,}[/] listings are in [bold]{escape(topic)}[/].", highlight=False)
    if producer.failures:
        kinds = Counter(f"{type(error).__name__}: {error}"[:200] for _, error in producer.failures)
        for kind, count in kinds.most_common(5):
            console.print(f"[red]{count:,} were not delivered[/]: {escape(kind)}", highlight=False)
        names = ", ".join(where for where, _ in producer.failures[:_LISTED])
        console.print(f"  first among them: {escape(names)}", highlight=False)


def _shortened(event: ListingCreated) -> str:
    """The event as JSON, with photos' bytes cut: it is for eyes."""
    cut = [photo.model_copy(update={"data": f"{photo.data[:24]}…"}) if photo.data else photo for photo in event.images]
    return encode(event.model_copy(update={"images": cut})).decode()
