"""A line that says how far a round is: renewed in place on a terminal, else written every quarter of a minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console

_TERMINAL_SECONDS, _LOG_SECONDS = 0.5, 15.0


class Progress:
    """Shown while the context is open.

    Parameters:
        name: of the round.
        events: how many are to be answered.
        faults: how many are to be inflicted.
        look: events answered and faults inflicted so far.
    """

    def __init__(
        self, console: Console, name: str, *, events: int, faults: int, look: Callable[[], tuple[int, int]]
    ) -> None:
        self._console = console
        self._name = name
        self._events = events
        self._faults = faults
        self._look = look
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(5)

    def line(self) -> str:
        """``soak: 12,340 of 50,000 events, 7 of 25 faults, 2:05; about 5:40 left``."""
        answered, inflicted = self._look()
        seconds = time.monotonic() - self._began
        line = f"{self._name}: {answered:,} of {self._events:,} events, {inflicted} of {self._faults} faults, "
        line += _clock(seconds)
        if answered:
            line += f"; about {_clock(seconds * (self._events - answered) / answered)} left"
        return line

    def _show(self) -> None:
        if not self._console.is_terminal:
            while not self._over.wait(_LOG_SECONDS):
                self._console.print(self.line(), highlight=False)
            return
        with self._console.status(self.line()) as status:
            while not self._over.wait(_TERMINAL_SECONDS):
                status.update(self.line())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{rest:02d}"
