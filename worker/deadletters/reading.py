"""Reads a topic once, from its beginning or a time up to the end that it had at the start; in no group."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError

from worker.errors import ConfigurationError
from worker.settings import Settings

_PATIENCE = 30.0
"""Seconds without a step forward after which Kafka counts as away."""


class Snapshot:
    """A topic as ``read_committed`` readers see it at the moment of opening.

    Nothing is committed and no group is joined: reading disturbs nobody. A context manager.

    Parameters:
        settings: where Kafka is, and how large a record may be.
        topic: which must exist; see ``exists``.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self.topic = topic
        self._consumer: Any = KafkaConsumer(
            **settings.kafka.client(),
            client_id="colour-worker-deadletters",
            group_id=None,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            # Room for the headers that a dead letter adds to the largest event.
            max_partition_fetch_bytes=settings.stream.max_record_bytes + (64 << 10),
        )
        self._numbers = sorted(self._consumer.partitions_for_topic(topic) or ())

    @property
    def exists(self) -> bool:
        """Whether there is such a topic."""
        return bool(self._numbers)

    def beginnings(self) -> Mapping[int, int]:
        """The first offset of each partition; smaller ones have expired."""
        found = self._consumer.beginning_offsets(self._partitions)
        return {partition.partition: offset for partition, offset in found.items()}

    def records(self, since: datetime | None = None) -> Iterator[Any]:
        """All records, partition after partition in offset order; ``since`` leaves out what is certainly older.

        The end is the last stable offset of each partition at the first step: what is written later, and what belongs
        to transactions that are open now, is not read.

        Raises:
            ConfigurationError: there is no such topic.
            KafkaTimeoutError: Kafka does not answer.
        """
        if not self.exists:
            raise ConfigurationError(
                f"there is no topic {self.topic}; see COLOUR_TOPICS__DEAD, or create it by: colour-worker topics"
            )
        starts = dict(self._consumer.beginning_offsets(self._partitions))
        ends = self._consumer.end_offsets(self._partitions)
        if since is not None:
            milliseconds = max(0, int(since.timestamp() * 1000))
            for partition, found in self._consumer.offsets_for_times(
                dict.fromkeys(self._partitions, milliseconds)
            ).items():
                starts[partition] = ends[partition] if found is None else found.offset
        for partition in self._partitions:
            yield from self._between(partition, starts[partition], ends[partition])

    def at(self, partition: int, offset: int) -> Any | None:
        """The record at one offset; ``None`` when there is none, or none any more."""
        place = TopicPartition(self.topic, partition)
        if partition not in self._numbers:
            return None
        first, end = (
            offsets([place])[place] for offsets in (self._consumer.beginning_offsets, self._consumer.end_offsets)
        )
        if not first <= offset < end:
            return None
        # An offset may belong to a transaction's marker or to an aborted record: the next one is another letter.
        record = next(self._between(place, offset, end), None)
        return record if record is not None and record.offset == offset else None

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close(autocommit=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _partitions(self) -> list[TopicPartition]:
        return [TopicPartition(self.topic, number) for number in self._numbers]

    def _between(self, partition: TopicPartition, start: int, end: int) -> Iterator[Any]:
        if start >= end:
            return
        self._consumer.assign([partition])
        self._consumer.seek(partition, start)
        position, moved = start, time.monotonic()
        # By position, never by a count: transactions and compaction leave gaps in the offsets.
        while position < end:
            for record in self._consumer.poll(timeout_ms=200).get(partition, ()):
                if record.offset >= end:
                    return
                yield record
            now = self._consumer.position(partition)
            if now > position:
                position, moved = now, time.monotonic()
            elif time.monotonic() - moved > _PATIENCE:
                raise KafkaTimeoutError(f"{partition.topic}/{partition.partition} stands at {position} of {end}")
