"""Where reading goes on in each partition, so that one whose offset Kafka does not tell holds up no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError

from worker.observe import metrics
from worker.observe.progress import Progress
from worker.stream import membership

log = structlog.get_logger(__name__)

_PATIENCE_SECONDS = 1.0
"""So long kafka-python may look for an offset by itself, which is for all partitions at once."""

_ASK_SECONDS = 1.0
_REST_SECONDS = 1.0
_SAY_SECONDS = 30.0


class Positions:
    """The positions of one consumer; for its thread.

    Kafka may refuse to tell a partition's committed offset (UNSTABLE_OFFSET_COMMIT) for as long as a transaction holds
    it, which is for ever where that hangs (``worker.stream.hanging``). kafka-python 3.0.12 asks for the offsets of all
    partitions that have no position in one request, takes none of them if one is refused, and waits for that in
    ``position()``. So partitions are asked for one by one here, and nobody waits twice for the same one.

    Parameters:
        clock: monotonic seconds.
    """

    def __init__(self, consumer: Any, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._consumer = consumer
        self._progress = progress
        self._clock = clock
        self._lost: frozenset[TopicPartition] = frozenset()
        self._since: dict[TopicPartition, float] = {}
        self._asked: dict[TopicPartition, float] = {}
        self._rested = 0.0
        self._said = 0.0

    @property
    def lost(self) -> frozenset[TopicPartition]:
        """Partitions that are to go back to their committed offset and have not yet: nothing may be read there."""
        return self._lost

    def lose(self, partitions: Collection[TopicPartition]) -> None:
        """Where these partitions were read is nothing any more: only Kafka knows what was committed."""
        self._lost |= frozenset(partitions)
        self._rested = 0.0

    def at(self, partition: TopicPartition) -> int | None:
        """The offset of the next record, without asking Kafka; ``None``: not known yet, or not ours."""
        state = self._consumer._subscription.assignment.get(partition)  # noqa: SLF001 - ``position`` asks Kafka
        return None if state is None or state.position is None else int(state.position.offset)

    def find(self, owned: Collection[TopicPartition]) -> None:
        """Go back in what was lost, and begin where there has been no position for a while.

        Waits for one answer that does not come, not for more, and then leaves the loop alone for as long.
        """
        now = self._clock()
        self._lost &= frozenset(owned)
        missing = self._consumer._subscription.missing_fetch_positions() & frozenset(owned)  # noqa: SLF001 - as above
        self._since = {partition: self._since.get(partition, now) for partition in missing | self._lost}
        if now < self._rested:
            return
        due = [place for place in self._since if place in self._lost or now - self._since[place] >= _PATIENCE_SECONDS]
        for partition in sorted(due, key=lambda place: self._asked.get(place, 0.0)):
            self._asked[partition] = now
            try:
                membership.go_back(self._consumer, partition, _ASK_SECONDS)
            except KafkaError as error:  # held by a transaction, Kafka is away, or revoked meanwhile
                self._say(partition, error)
                self._rested = self._clock() + _REST_SECONDS
                break
            self._lost -= {partition}
            del self._since[partition]
        self._tell([place for place in due if place in self._since])

    def _say(self, partition: TopicPartition, error: Exception) -> None:
        now = self._clock()
        seconds = now - self._since[partition]
        if seconds < _PATIENCE_SECONDS or now - self._said < _SAY_SECONDS:
            return
        self._said = now
        log.warning(
            "offset_not_told",
            partition=f"{partition.topic}/{partition.partition}",
            seconds=round(seconds),
            error=f"{type(error).__name__}: {error}"[:200],
        )

    def _tell(self, held: Collection[TopicPartition]) -> None:
        metrics.NO_OFFSET.set(len(held))
        where = ", ".join(sorted(f"{place.topic}/{place.partition}" for place in held))
        self._progress.hindered("Kafka does not tell the committed offset of", where)
