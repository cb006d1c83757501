"""How many records make a batch: as many as are waiting, and up to several times more while the cache answers."""

from __future__ import annotations

from collections.abc import Callable

from worker.observe import metrics

_WARM = 0.95
"""Share of cache hits above which batches grow: then they hold no pixels, only embeddings."""


class BatchSize:
    """The most that one poll may return. It doubles while photos come from the cache, and falls back when they do not.

    A cold batch holds the pixels of all its photos at once (150 kB each at 224 px). A warm one holds none, and it
    costs one round trip to Redis, one to Triton and one Kafka transaction, however many records share them. Who is not
    behind finds one record waiting, and has a batch of one.

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
