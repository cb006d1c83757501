"""``python -m tests.benchmarks.profile [cold|warm ...]``: a flame graph of a running worker, for each path.

py-spy samples the process from outside, so that the worker runs as it always does. It needs the right to trace the
process: where the kernel grants that to parents only (``kernel.yama.ptrace_scope=1``), run as root.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.steps import REPOSITORY
from tests.benchmarks import environment, events, models
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field

FOLDER = REPOSITORY / "runs" / "profiles"
_EVENTS = {"cold": 3_000, "warm": 40_000}
_SECONDS = 6
_PER_SECOND = 200


def profile(field: Field, path: str) -> Path:
    """Sample a worker, its photo processes included, that works through a backlog.

    The flame graph, as SVG, is wide where an interpreter's lock was held.

    Parameters:
        path: ``"cold"`` or ``"warm"``.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = FOLDER / f"{path}.svg"
    environment.python()
    listings = by_address(field.photos_url, field.photo_names, _EVENTS[path])
    if path == "warm":
        events.warm(field.stack.redis.url, models.release(field.standin.repository), listings)
    with field.fleet(field.standin) as fleet:
        fleet.publish(listings)
        (worker,) = fleet.start()
        fleet.watch(_EVENTS[path] // 20)
        subprocess.run(
            [
                environment.program("py-spy"), "record", "--pid", str(worker.pid), "--gil", "--threads",
                "--subprocesses", "--rate", str(_PER_SECOND), "--duration", str(_SECONDS), "--output", target,
            ],
            check=True,
        )  # fmt: skip
        done = fleet.committed()
    if done >= _EVENTS[path]:
        typer.echo(f"{path}: the backlog was empty before the {_SECONDS} s were over; the graph shows some idling")
    return target


def main(paths: Annotated[list[str] | None, typer.Argument(help="cold, warm; none: both")] = None) -> None:
    """Write ``runs/profiles/<path>.svg``."""
    with Field() as field:
        for path in paths or list(_EVENTS):
            started = time.monotonic()
            target = profile(field, path)
            typer.echo(f"{target.relative_to(REPOSITORY)}  ({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    typer.run(main)
