"""When the next batch begins: at once, or when those before it are out of its way."""

from __future__ import annotations

import time
from collections.abc import Callable

from worker.stream.inflight import InFlight


class Gathering:
    """Lets records gather into fewer batches while the worker is busy.

    A batch costs some milliseconds of processor time whatever it holds: requests to Redis, Triton and Kafka. A busy
    worker that begins a batch for every record or two spends itself on those, and every batch in flight shares the
    cores, and Python's lock, with the others. So a batch begins when

    - the last one was full: the worker is behind, and wants as many in flight as there is room for; or
    - nothing is in flight; or
    - since the last one began, the worker has rested for as long as it has worked: what is in flight waits for
      somebody else, such as a slow photo host, and a batch beside it costs nobody anything.

    Parameters:
        in_flight: the batches before.
        full: records of a batch that counts as full.
        work: seconds of processor time of the worker, all of its threads and processes together.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        in_flight: InFlight,
        full: int,
        *,
        work: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._in_flight = in_flight
        self._full = full
        self._clock = clock
        self._work = work
        self._behind = False
        self._begun_at = clock()
        self._worked_before = work()

    def begun(self, records: int) -> None:
        """A batch of so many records was read."""
        self._behind = records >= self._full
        self._begun_at = self._clock()
        self._worked_before = self._work()

    def wait(self, seconds: float) -> None:
        """Return when the next batch may begin, when the queue failed, or after ``seconds``."""
        until = self._clock() + seconds
        while not self._behind and not self._in_flight.failed:
            left = min(self._until_rested(), until - self._clock())
            if left <= 0 or self._in_flight.wait_until_empty(left):
                return

    def _until_rested(self) -> float:
        """Seconds, if the process does nothing meanwhile."""
        worked = self._work() - self._worked_before
        return self._begun_at + 2 * worked - self._clock()
