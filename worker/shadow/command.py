"""``colour-worker models compare``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from worker import grid
from worker.deadletters import printing
from worker.deadletters.selection import parse_time
from worker.errors import ConfigurationError
from worker.events import ReleaseNames
from worker.photos.loading import make_fetcher
from worker.settings import Settings
from worker.shadow import photos, reading, report
from worker.shadow.comparison import COLOURS, Comparison
from worker.shadow.comparison import compare as compare_records
from worker.shadow.record import ListingShadowed


def compare(
    *,
    since: Annotated[
        str | None, typer.Option(help="2026-01-31T12:00:00Z or 36h (so long ago). Without it: all that is kept.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the photos on which they differ.")] = None,
    most: Annotated[int, typer.Option("--photos", min=0, help="Listings on the page, at most.")] = 120,
) -> None:
    """Tell how the shadowed candidate answers beside the active release: agreement, shifts, latency, photos.

    Reads what workers wrote while `models shadow` was on; of several pairs of releases the one with the newest record.
    """
    settings = Settings.load()
    try:
        start = None if since is None else parse_time(since)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    comparisons = compare_records(reading.records(settings, start))
    if not comparisons:
        raise ConfigurationError(
            f"{settings.topics.shadow} holds no shadowed listing{f' since {_time(start)}' if start else ''}; is a "
            "candidate named? See: colour-worker models status"
        )
    comparison, *others = comparisons
    _print(comparison)
    for other in others:
        typer.echo(f"not counted: {other.listings:,} listings of {_changed(other)}, the last at {_time(other.last)}")
    if html is not None:
        _write(settings, comparison, html, most)
        typer.echo(f"page\t{html}")


def _print(comparison: Comparison) -> None:
    low, high = comparison.agreement_interval
    live, shadow = comparison.latencies
    uncertain, n = comparison.uncertain, comparison.listings
    for name, words in {
        "active": _names(comparison.live),
        "candidate": _names(comparison.shadow),
        "listings": f"{n} from {_time(comparison.first)} to {_time(comparison.last)}",
        "same colour": f"{comparison.same} ({comparison.agreement:.2%}; 95 % interval {low:.2%} to {high:.2%})",
        "uncertain": f"active {uncertain[1].sum() / n:.2%}, candidate {uncertain[:, 1].sum() / n:.2%}",
        "in Triton, active": f"median {live.p50:.1f} ms, p99 {live.p99:.1f} ms (its queue also holds live traffic)",
        "in Triton, candidate": f"median {shadow.p50:.1f} ms, p99 {shadow.p99:.1f} ms",
    }.items():
        typer.echo(f"{name}\t{words}")
    typer.echo()
    rows = [
        (one.colour.value, str(one.live), str(one.shadow), f"{one.shadow - one.live:+d}",
         f"{(one.shadow - one.live) / one.live:+.1%}" if one.live else "-", str(one.kept))
        for one in comparison.shifts
    ]  # fmt: skip
    printing.table(("colour", "active", "candidate", "difference", "relative", "both"), rows, title="by colour")
    typer.echo()
    grid.show(COLOURS, comparison.grid, before="active", now="candidate")


def _write(settings: Settings, comparison: Comparison, path: Path, most: int) -> None:
    examples = comparison.examples(most)
    listings = reading.originals(settings, examples)
    fetcher = make_fetcher(settings.images)
    shown = asyncio.run(photos.thumbnails(settings.images, fetcher, listings.values()))
    report.write(comparison, _cards(comparison, examples), listings, shown, path, now=datetime.now(UTC))


def _cards(comparison: Comparison, examples: Sequence[ListingShadowed]) -> list[ListingShadowed]:
    """Frequent moves first; within a move what the candidate is surest of."""
    order = {(before, now): at for at, (before, now, _) in enumerate(comparison.moves)}
    return sorted(examples, key=lambda one: (order[one.live.colour, one.shadow.colour], -one.shadow.confidence))


def _changed(comparison: Comparison) -> str:
    return f"{_names(comparison.shadow)} beside {_names(comparison.live)}"


def _names(release: ReleaseNames) -> str:
    return f"image {release.image}, text {release.text}, head {release.head}"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
