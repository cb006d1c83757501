"""Signs of life, and what they mean: is the worker alive, is it ready?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer for a probe."""

    ok: bool
    reason: str


class Progress:
    """What the stream did last, told by its threads and read by the health server.

    Parameters:
        stall_timeout: seconds without progress, while there is something to do, after which the worker counts as stuck.
        clock: monotonic seconds.
    """

    def __init__(self, stall_timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall_timeout = stall_timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._turned = self._progressed = clock()
        self._partitions = 0
        self._waiting = 0
        self._reading = True
        self._hindrances: dict[str, str] = {}

    def turned(self, *, reading: bool) -> None:
        """The loop went round; ``reading`` is false while it waits for a neighbour or for room."""
        with self._lock:
            self._turned = self._clock()
            self._reading = reading

    def received(self) -> None:
        """Records came in."""
        self._advance()

    def committed(self) -> None:
        """A transaction was committed."""
        self._advance()

    def excused(self) -> None:
        """Nothing can progress at present, and it is no fault of ours."""
        self._advance()

    def hindered(self, cause: str, where: str) -> None:
        """Say in the probe's text what keeps some partitions from being read or seen; a restart would not change it.

        Parameters:
            where: the partitions; empty: nothing any more.
        """
        with self._lock:
            if where:
                self._hindrances[cause] = where
            else:
                self._hindrances.pop(cause, None)

    def idle(self) -> float:
        """Seconds since something progressed, or since there was nothing to do."""
        with self._lock:
            return self._clock() - self._progressed

    def measured(self, *, partitions: int, waiting: int) -> None:
        """How many partitions are assigned, and how many records wait in them that could be read now."""
        with self._lock:
            self._partitions = partitions
            self._waiting = waiting
            if waiting == 0:
                self._progressed = self._clock()

    def alive(self, *, neighbour_away: bool) -> Verdict:
        """Liveness. Waiting for a neighbour is no fault of ours: a restart would not bring it back."""
        with self._lock:
            now = self._clock()
            if now - self._turned > self._stall_timeout:
                return Verdict(False, f"the loop has not turned for {now - self._turned:.0f} s")
            idle = now - self._progressed
            if self._partitions and self._waiting and not neighbour_away and idle > self._stall_timeout:
                return Verdict(
                    False, f"{self._waiting} records wait, and nothing was read or committed for {idle:.0f} s"
                )
            return Verdict(True, "; ".join(["turning", *(f"{c}: {where}" for c, where in self._hindrances.items())]))

    def ready(self, *, release_loaded: bool) -> Verdict:
        """Readiness: there is a model, and this worker has its share of the partitions."""
        with self._lock:
            if not release_loaded:
                return Verdict(False, "no release was read from Triton yet")
            if not self._partitions:
                return Verdict(False, "no partition is assigned")
            return Verdict(True, f"{self._partitions} partitions")

    def _advance(self) -> None:
        with self._lock:
            self._progressed = self._clock()
