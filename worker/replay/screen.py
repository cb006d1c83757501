"""What a person sees: a bar on a terminal, plain lines elsewhere, and a summary at the end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from worker import grid
from worker.deadletters import printing
from worker.replay.plan import Plan
from worker.replay.previous import COLOURS
from worker.replay.standing import Standing
from worker.replay.tally import OUTCOMES, Tally
from worker.stream.batching import photo_lookups

_LINE_SECONDS = 10.0
_WINDOW_SECONDS = 30.0
"""Rate and ETA are of the last so many seconds: a cold stretch shows at once."""


class Screen:
    """Shows the whole replay's progress on standard error; a context manager.

    Parameters:
        plan: what is shown.
        clock: monotonic seconds.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._window: deque[tuple[float, int, int]] = deque()
        self._line_due = clock()
        console = Console(stderr=True, highlight=False)
        self._bar = (
            Progress(
                TextColumn("replay {task.fields[id]}"), BarColumn(), TextColumn("{task.fields[words]}"), console=console
            )
            if console.is_terminal
            else None
        )
        self._task = (
            self._bar.add_task("replay", total=max(1, plan.offsets), id=plan.id, words="") if self._bar else None
        )

    def show(self, standing: Standing, *, waits: bool) -> None:
        """The present standing.

        Parameters:
            waits: a neighbour is away.
        """
        words = self._words(standing, waits=waits)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=standing.offsets if standing.of else 1, words=words)
        elif (now := self._clock()) >= self._line_due or standing.complete:
            self._line_due = now + _LINE_SECONDS
            typer.echo(words, err=True)

    def _words(self, standing: Standing, *, waits: bool) -> str:
        now = self._clock()
        self._window.append((now, standing.offsets, standing.tally.total))
        while len(self._window) > 2 and now - self._window[0][0] > _WINDOW_SECONDS:
            self._window.popleft()
        then, offsets, events = self._window[0]
        seconds = now - then
        rate = (standing.tally.total - events) / seconds if seconds > 0 else 0.0
        speed = (standing.offsets - offsets) / seconds if seconds > 0 else 0.0
        share = standing.offsets / standing.of if standing.of else 1.0
        left = (
            "done"
            if standing.complete
            else f"{duration((standing.of - standing.offsets) / speed)} left"
            if speed
            else ""
        )
        hits, misses = photo_lookups()
        parts = [
            f"{share:.1%}",
            f"{standing.tally.total:,} events",
            f"{rate:,.0f}/s",
            left,
            f"cache {hits / (hits + misses):.1%}" if hits + misses else "",
            f"{standing.tally['postponed'] + standing.tally['rejected']:,} failed",
            "waiting for Triton" if waits else "",
        ]
        return "  ".join(part for part in parts if part)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def summary(plan: Plan, tally: Tally) -> None:
    """Counts by outcome and a colour-to-colour grid of the moves, on standard output; in a pipe tab-separated."""
    counts = ((name, f"{tally[name]}", _share(tally[name], tally.total)) for name in OUTCOMES)
    printing.table(("outcome", "events", "share"), counts, title=f"replay {plan.id}: {tally.total:,} events")
    counts_of = tally.grid()
    answered, fresh, kept = (int(some.sum()) for some in (counts_of, counts_of[0], counts_of[1:].diagonal()))
    if not answered:
        return
    typer.echo()
    typer.echo(f"labels: {kept:,} kept, {answered - kept - fresh:,} moved, {fresh:,} had none before")
    grid.show((None, *COLOURS), counts_of, before="before", now="now")


def duration(seconds: float) -> str:
    """``93784`` -> ``"26:03:04"``."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"
