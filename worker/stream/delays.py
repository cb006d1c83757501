"""Retry topics: a record waits until it is due, and makes nobody else wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kafka import TopicPartition

from worker.stream.inflight import Item


class Delays:
    """Which partitions wait, and until when.

    Within a retry topic all delays are equal, so records stand in order of their due time: when the first is not due,
    none behind it is, and its partition can be paused.
    """

    def __init__(self) -> None:
        self._until: dict[TopicPartition, datetime] = {}

    def split(self, items: Sequence[Item], now: datetime) -> tuple[Sequence[Item], Item | None]:
        """The items of one partition that are due, and the first that is not."""
        for index, item in enumerate(items):
            if item.envelope.due is not None and item.envelope.due > now:
                return items[:index], item
        return items, None

    def hold(self, partition: TopicPartition, first: Item) -> None:
        """Let a partition wait until its first item is due."""
        if first.envelope.due is not None:
            self._until[partition] = first.envelope.due

    def holding(self, now: datetime) -> frozenset[TopicPartition]:
        """The partitions that still wait; the others are forgotten."""
        self._until = {partition: until for partition, until in self._until.items() if until > now}
        return frozenset(self._until)

    def clear(self) -> None:
        """Forget all, for example because the offsets were moved."""
        self._until.clear()
