"""How much is read: what ``--rate`` allows."""

from __future__ import annotations

import time
from collections.abc import Callable


class Rate:
    """A token bucket that holds one second's worth.

    Parameters:
        per_second: events; ``None``: no limit.
        clock: monotonic seconds.
    """

    def __init__(self, per_second: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._tokens = 0.0
        self._at = clock()

    def allowance(self, most: int) -> int:
        """How many events may be read now, at most ``most``."""
        if self._per_second is None:
            return most
        now = self._clock()
        self._tokens = min(max(1.0, self._per_second), self._tokens + (now - self._at) * self._per_second)
        self._at = now
        return min(most, max(0, int(self._tokens)))

    def spend(self, events: int) -> None:
        """So many were read."""
        if self._per_second is not None:
            self._tokens -= events
