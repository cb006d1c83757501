"""Questions to a consumer whose library answers some of them wrongly around a rebalance."""

from __future__ import annotations

import time
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.structs import MemberState

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 0.1


def committed(consumer: Any, partition: TopicPartition, timeout: float) -> Any:
    """``KafkaConsumer.committed`` with metadata, asked of Kafka now.

    kafka-python 3.0.12 keeps the answer to a question that was given up for its time limit, and gives it to whoever
    asks the same next, however much later: an offset from before the partition went to another member and came back.

    Parameters:
        timeout: seconds.

    Returns:
        An ``OffsetAndMetadata``, or ``None``.
    """
    consumer._coordinator._offset_fetch_futures.pop(frozenset([partition]), None)  # noqa: SLF001 - see above
    return consumer.committed(partition, metadata=True, timeout_ms=int(timeout * 1000))


def forget_committed(consumer: Any) -> None:
    """Drop every such answer that is kept: what was asked before an assignment must not decide where it begins."""
    consumer._coordinator._offset_fetch_futures.clear()  # noqa: SLF001 - see above


def poll(consumer: Any, timeout: float, max_records: int) -> dict[TopicPartition, list[Any]]:
    """``KafkaConsumer.poll``, without the way in which kafka-python 3.0.12 leaves a group unnoticed.

    When a group's leader sees that a topic's partitions have changed, which happens at nearly every first join, it
    joins again. If that takes longer than the poll in which it began, it goes on in the background, and a later poll is
    to finish it. But performing the assignment also clears the reason for joining (``_perform_assignment`` takes over
    the snapshot that ``need_rejoin`` compares), so no later poll does: heartbeats stay off, new partitions never
    arrive, and after the session timeout the broker gives the old ones to others, while this consumer reads on and each
    of its commits is refused. Asking for the join again makes this poll finish the one in flight.

    A broker that is away for a moment is no reason to leave either: a connection that it refuses in the midst of a
    rebalance comes out of ``KafkaConsumer.poll`` as an error, and the next poll tries again. Nothing is skipped by it:
    a poll speaks to the coordinator before it takes records out of its buffer.

    Parameters:
        timeout: seconds.

    Raises:
        KafkaError: one that trying again does not mend, for example because the credentials are refused.
    """
    if consumer.group_metadata().state == MemberState.REBALANCING:
        consumer._coordinator.request_rejoin()  # noqa: SLF001 - there is no public way to ask
    try:
        polled: dict[TopicPartition, list[Any]] = consumer.poll(timeout_ms=int(timeout * 1000), max_records=max_records)
    except KafkaError as error:
        if not error.retriable:
            raise
        log.warning("kafka_away", error=f"{type(error).__name__}: {error}"[:300])
        time.sleep(_PAUSE_SECONDS)
        return {}
    return polled
