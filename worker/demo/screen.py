"""What the terminal shows while listings are on their way: a live table, or plain lines where there is no terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from worker.colours import NAMES, Colour
from worker.demo.ledger import Answered, DeadLetter, Ledger, Pass, speed
from worker.events import ListingColoured

PASSES: dict[Pass, str] = {
    "burst": "all at once",
    "steady": "one by one",
    "again": "the same again",
}
_LATEST = 10
_LINE_SECONDS = 2.0
_STRIPES = ("#d7191f", "#f7d417", "#2f8b3a", "#1f4fb5")


class Screen:
    """Draws a ledger.

    Parameters:
        console: where.
        ledger: what.
        totals: how many listings each part will publish, as far as is known.
    """

    def __init__(self, console: Console, ledger: Ledger, totals: dict[Pass, int]) -> None:
        self.totals = totals
        self._console = console
        self._ledger = ledger
        self._live: Live | None = None
        self._said = 0.0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Live until the context ends; the last picture stays."""
        if not self._console.is_terminal:
            yield
            self.refresh(now=True)
            return
        with Live(self._picture(), console=self._console, refresh_per_second=8, transient=False) as self._live:
            yield
            self._live.update(self._picture())
        self._live = None

    def refresh(self, *, now: bool = False) -> None:
        """Draw again; without a terminal, one line every two seconds."""
        if self._live is not None:
            self._live.update(self._picture())
        elif now or time.monotonic() - self._said > _LINE_SECONDS:
            self._said = time.monotonic()
            counts = self._counts()
            done = sum(counts.values())
            shown = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
            waiting = self._ledger.waiting()
            self._console.print(
                f"{done} of {sum(self.totals.values())} answered: {shown}; {waiting} wait for another attempt",
                highlight=False,
            )

    def _counts(self) -> dict[str, int]:
        counts = {"labelled": 0, "uncertain": 0, "dead": 0}
        for answer in self._ledger.answers():
            counts[answer.content.decision if isinstance(answer.content, ListingColoured) else "dead"] += 1
        return counts

    def _picture(self) -> RenderableType:
        return Panel(
            Group(self._bars(), Text(), self._tallies(), Text(), self._latest()),
            title="[bold]new listings, coloured[/]",
            border_style="dim",
            box=box.ROUNDED,
            padding=(1, 2),
            width=min(self._console.width, 100),
        )

    def _bars(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(width=15)
        table.add_column(width=30)
        table.add_column(justify="right", width=9)
        table.add_column(justify="right", width=12)
        table.add_column(justify="right", width=13)
        for part, name in PASSES.items():
            answers = self._ledger.answers(part)
            total = self.totals.get(part, 0)
            style = "green" if total and len(answers) == total else "cyan"
            measured = speed(answers)
            table.add_row(
                f"[bold]{name}[/]" if answers else f"[dim]{name}[/]",
                ProgressBar(total=max(total, 1), completed=len(answers), width=30, complete_style=style),
                f"{len(answers)}/{total}" if total else "",
                f"{measured.per_second:,.0f}/s" if answers else "",
                f"median {duration(measured.median)}" if answers else "",
            )
        return table

    def _tallies(self) -> Text:
        counts = self._counts()
        line = Text()
        for name, style, count in (
            ("labelled", "green", counts["labelled"]),
            ("uncertain", "yellow", counts["uncertain"]),
            ("wait for another attempt", "cyan", self._ledger.waiting()),
            ("dead letters", "red", counts["dead"]),
        ):
            line.append(f"{count:>4} ", style=f"bold {style}")
            line.append(f"{name}   ", style="dim")
        return line

    def _latest(self) -> Table:
        table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False, expand=True)
        table.add_column(width=6)
        table.add_column(width=13, no_wrap=True)
        table.add_column(width=17, no_wrap=True)
        table.add_column(width=5, justify="right")
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis", min_width=20)
        table.add_column(width=8, justify="right", style="dim")
        latest = self._ledger.answers()[-_LATEST:]
        for answer in reversed(latest):
            table.add_row(*_row(answer))
        for _ in range(_LATEST - len(latest)):
            table.add_row("")
        return table


def swatch(colour: Colour) -> Text:
    """A patch of the colour."""
    if colour is Colour.MULTICOLOUR:
        return Text.assemble(*((" ", f"on {stripe}") for stripe in _STRIPES))
    found = re.search(r"#[0-9a-f]{6}", NAMES[colour].swatch)
    return Text("    ", style=f"on {found[0]}" if found else "")


def _row(answer: Answered) -> tuple[RenderableType, ...]:
    title = escape(answer.sent.listing.title) or "[dim]no title[/]"
    seconds = duration(answer.seconds)
    if isinstance(answer.content, DeadLetter):
        return Text("  ✕", style="red"), "[red]dead letter[/]", f"[red]{answer.content.reason}[/]", "", title, seconds
    output = answer.content
    name = NAMES[output.colour]
    unsure = output.decision == "uncertain"
    percent = f"[{'yellow' if unsure else 'green'}]{output.confidence:.0%}[/]"
    return swatch(output.colour), name.ru, f"[dim]{name.en}[/]", percent, title, seconds


def duration(seconds: float) -> str:
    """Milliseconds below a second, else seconds."""
    return f"{seconds * 1000:,.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
