"""``python -m tests.benchmarks [figure ...]``: measure, print a table, write ``results/<date>.json``."""

from __future__ import annotations

import importlib
import signal
import sys
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from tests.benchmarks import machine, report
from tests.benchmarks.field import Field
from tests.benchmarks.report import Entry, Failure, Row

FIGURES = {
    "start": "tests.benchmarks.figures.start",
    "latency": "tests.benchmarks.figures.latency",
    "cold": "tests.benchmarks.figures.ceiling_cold",
    "warm": "tests.benchmarks.figures.ceiling_warm",
    "scaling": "tests.benchmarks.figures.scaling",
    "memory": "tests.benchmarks.figures.memory",
    "peers": "tests.benchmarks.figures.peers",
    "beside-replay": "tests.benchmarks.figures.beside_replay",
    "cold-share": "tests.benchmarks.figures.cold_share",
    "warm-over-cold": "tests.benchmarks.figures.warm_over_cold",
}
"""Name on the command line -> module with ``measure(field) -> rows``, in the order in which they are measured."""

console = Console()


def measure(names: Sequence[str]) -> list[Entry]:
    """One figure after the other; one that fails does not cost the others."""
    entries: list[Entry] = []
    with Field() as field:
        for name in names:
            console.print(f"[bold]{name}[/] …")
            field.calm_down()
            try:
                rows: list[Row] = importlib.import_module(FIGURES[name]).measure(field)
            except Exception as error:  # noqa: BLE001 - it stands in the table and in the exit code
                console.print_exception(max_frames=6)
                entries.append(Failure(name, f"{type(error).__name__}: {error}"[:400]))
                continue
            for row in rows:
                console.print(f"  {row.figure}: {row.value:,.4g} {row.unit} ({row.target})", highlight=False)
            entries += rows
    return entries


def main(
    figures: Annotated[list[str] | None, typer.Argument(help=f"Of: {', '.join(FIGURES)}. None: all.")] = None,
) -> None:
    """Measure figures on the real servers. Exit code 1: one could not be measured; targets that are missed are red."""
    names = figures or list(FIGURES)
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise typer.BadParameter(f"no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    # As Ctrl+C does: the servers are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    described = machine.describe()
    started = time.monotonic()
    entries = measure(names)
    console.print(report.table(entries))
    path = report.write(entries, described, time.monotonic() - started)
    console.print(f"written to {path.relative_to(report.RESULTS.parents[2])}")
    if any(isinstance(entry, Failure) for entry in entries):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
