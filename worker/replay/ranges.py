"""Which offsets are meant: times, durations and offsets become one half-open range for each partition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from pydantic import BaseModel, ConfigDict

from worker.deadletters.selection import parse_time
from worker.errors import ConfigurationError
from worker.settings import Settings


class Range(BaseModel):
    """The records of one partition with ``start <= offset < end``.

    ``start == end`` is an empty range. Offsets in between may be missing: transactions and compaction leave gaps.
    """

    model_config = ConfigDict(frozen=True)

    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of the stretch; exactly one of the three is given.

    Parameters:
        time: records written at or after it; as an end, before it.
        offset: the same offset for every partition.
        offsets: an offset for each partition; partitions that are not named are left out.
    """

    time: datetime | None = None
    offset: int | None = None
    offsets: Mapping[int, int] | None = None

    @classmethod
    def parse(cls, text: str, now: datetime) -> Bound:
        """``2026-01-31T12:00:00Z``, ``36h`` (so long ago), ``1200`` or ``0:100,1:200``.

        Raises:
            ValueError: none of these; the message says what to write.
        """
        if re.fullmatch(r"\d{1,18}", text):
            return cls(offset=int(text))
        if re.fullmatch(r"\d{1,9}:\d{1,18}(,\d{1,9}:\d{1,18})*", text):
            pairs = [(int(pair.split(":")[0]), int(pair.split(":")[1])) for pair in text.split(",")]
            offsets = dict(pairs)
            if len(offsets) < len(pairs):
                raise ValueError(f"{text!r} names a partition twice")
            return cls(offsets=offsets)
        try:
            return cls(time=parse_time(text, now))
        except ValueError:
            raise ValueError(
                f"{text!r} is no bound; write a time (2026-01-31T12:00:00Z), a duration (36h, 7d: so long ago), "
                "an offset (1200) or offsets by partition (0:100,1:200); a time needs its zone, Z for UTC"
            ) from None


def resolve(settings: Settings, topic: str, first: Bound, last: Bound | None) -> list[Range]:
    """The ranges as the topic stands now.

    Without ``last``, and wherever it lies beyond the end, a range ends at the partition's last stable offset: what
    belongs to transactions that are open now is not part of the replay. A start that has expired becomes the first
    offset that is left.

    Raises:
        ConfigurationError: there is no such topic, or a bound names a partition that it has not.
        KafkaError: Kafka does not answer.
    """
    consumer: Any = KafkaConsumer(
        **settings.kafka.client(),
        client_id="colour-worker-replay-plan",
        group_id=None,
        isolation_level="read_committed",
        allow_auto_create_topics=False,
    )
    try:
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        if not numbers:
            raise ConfigurationError(f"there is no topic {topic}; see --topic and COLOUR_TOPICS__CREATED")
        numbers = _chosen(topic, numbers, first, last)
        partitions = [TopicPartition(topic, number) for number in numbers]
        beginnings, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        starts = _offsets(consumer, partitions, first, ends)
        stops = ends if last is None else _offsets(consumer, partitions, last, ends)
    finally:
        consumer.close(autocommit=False)
    ranges = []
    for partition in partitions:
        end = max(min(stops[partition], ends[partition]), beginnings[partition])
        start = min(max(starts[partition], beginnings[partition]), end)
        ranges.append(Range(partition=partition.partition, start=start, end=end))
    return ranges


def _chosen(topic: str, numbers: list[int], first: Bound, last: Bound | None) -> list[int]:
    named = [set(bound.offsets) for bound in (first, last) if bound is not None and bound.offsets is not None]
    if len(named) == 2 and named[0] != named[1]:
        raise ConfigurationError("--from and --to name different partitions; name the same in both")
    if not named:
        return numbers
    if unknown := named[0] - set(numbers):
        raise ConfigurationError(f"{topic} has no partition {min(unknown)}; it has {numbers[0]} to {numbers[-1]}")
    return sorted(named[0])


def _offsets(
    consumer: Any, partitions: list[TopicPartition], bound: Bound, ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    if bound.time is None:
        return {
            partition: bound.offsets[partition.partition] if bound.offsets is not None else bound.offset or 0
            for partition in partitions
        }
    milliseconds = max(0, int(bound.time.timestamp() * 1000))
    found = consumer.offsets_for_times(dict.fromkeys(partitions, milliseconds))
    # None: every record is older.
    return {
        partition: ends[partition] if found.get(partition) is None else found[partition].offset
        for partition in partitions
    }
