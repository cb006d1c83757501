"""Batches in computation, in the order in which they were read and will be committed.

The one object that the two threads of the stream share: the consumer adds batches and waits for room, the committer
takes them from the front once they are computed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from kafka import TopicPartition

from worker.observe import metrics
from worker.stream.envelope import Envelope
from worker.tagger import Outcome


@dataclass(frozen=True, slots=True)
class Item:
    """One record of a batch: where it stands, and what it says."""

    partition: TopicPartition
    offset: int
    envelope: Envelope


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Records that are computed together.

    Parameters:
        items: in offset order within each partition.
        leases: the lease of each partition when its records were read (see ``Ownership``).
        size: bytes of keys and values.
        outcomes: will hold one outcome for each item.
        reached: offsets to commit even though no item stands right before them, such as the end of a replayed range
            behind records that were not selected; empty in live traffic.
    """

    items: Sequence[Item]
    leases: Mapping[TopicPartition, int]
    size: int
    outcomes: Future[list[Outcome]]
    reached: Mapping[TopicPartition, int] = field(default_factory=dict)


class InFlight:
    """A bounded queue.

    Parameters:
        max_batches: room for so many batches.
        max_bytes: and for so many bytes of records; one batch always fits.
    """

    def __init__(self, max_batches: int, max_bytes: int) -> None:
        self._max_batches = max_batches
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._batches: deque[Batch] = deque()
        self._failed = False
        self._closed = False

    def __len__(self) -> int:
        with self._changed:
            return len(self._batches)

    def add(self, batch: Batch) -> None:
        """Put a batch at the end; the consumer asked for room before."""
        with self._changed:
            self._batches.append(batch)
            metrics.IN_FLIGHT.set(len(self._batches))
        batch.outcomes.add_done_callback(lambda _: self._notify())

    def has_room(self) -> bool:
        """Whether another batch may be read."""
        with self._changed:
            return self._has_room()

    def wait_for_room(self, seconds: float) -> None:
        """Return when there is room, when the queue failed, or after ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or self._failed, seconds)

    def wait_until_empty(self, seconds: float) -> bool:
        """Return whether everything was committed within ``seconds``; returns early when the queue failed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._batches or self._failed, seconds)
            return not self._batches

    def wait_for_computed(self) -> list[Batch]:
        """The computed batches at the front, at least one; an empty list once the queue is closed.

        They stay in the queue until ``remove``: until then they take room.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (not self._failed and bool(self._computed())))
            return [] if self._closed else self._computed()

    def remove(self, batches: Sequence[Batch]) -> None:
        """Take committed batches from the front."""
        with self._changed:
            for batch in batches:
                if self._batches and self._batches[0] is batch:
                    self._batches.popleft()
            metrics.IN_FLIGHT.set(len(self._batches))
            self._changed.notify_all()

    def fail(self) -> None:
        """A transaction did not go through: commit nothing more until the consumer has gone back (``clear``)."""
        with self._changed:
            self._failed = True
            self._changed.notify_all()

    @property
    def failed(self) -> bool:
        """Whether the consumer must go back to the committed offsets."""
        with self._changed:
            return self._failed

    def clear(self) -> None:
        """Forget every batch and begin anew."""
        with self._changed:
            forgotten = list(self._batches)
            self._batches.clear()
            self._failed = False
            metrics.IN_FLIGHT.set(0)
            self._changed.notify_all()
        for batch in forgotten:
            batch.outcomes.cancel()

    def close(self) -> None:
        """Let the committer return."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return len(self._batches) < self._max_batches and sum(batch.size for batch in self._batches) < self._max_bytes

    def _computed(self) -> list[Batch]:
        computed = []
        for batch in self._batches:
            if not batch.outcomes.done():
                break
            computed.append(batch)
        return computed

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
