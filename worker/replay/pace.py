"""How much is read at once: what ``--rate`` allows, and large batches only while the cache answers."""

from __future__ import annotations

import time
from collections.abc import Callable

from worker.observe import metrics

_WARM = 0.95
"""Share of cache hits above which batches grow: then they hold no pixels, only embeddings."""


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


class BatchSize:
    """Doubles while photos come from the cache, falls back to the smallest when they do not.

    A cold batch holds the pixels of all its photos at once (150 kB each at 224 px); a warm one holds none.

    Parameters:
        smallest, largest: records in a batch.
        lookups: hits and misses among photos so far.
    """

    def __init__(self, smallest: int, largest: int, lookups: Callable[[], tuple[int, int]] | None = None) -> None:
        self._smallest = smallest
        self._largest = max(largest, smallest)
        self._lookups = lookups or photo_lookups
        self._seen = self._lookups()
        self.now = smallest

    def update(self) -> int:
        """The size of the next batch."""
        hits, misses = self._lookups()
        new_hits, new_misses = hits - self._seen[0], misses - self._seen[1]
        if new_hits + new_misses:
            self._seen = (hits, misses)
            warm = new_hits >= _WARM * (new_hits + new_misses)
            self.now = min(self.now * 2, self._largest) if warm else self._smallest
        return self.now


def photo_lookups() -> tuple[int, int]:
    """Hits and misses of this process among photos, as the metrics count them."""
    found = {
        sample.labels["result"]: int(sample.value)
        for family in metrics.CACHE.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["kind"] == "image"
    }
    return found["hit"], found["miss"]
