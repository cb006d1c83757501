"""A poll that finishes the rebalances which earlier polls began."""

from __future__ import annotations

from typing import Any

from kafka import TopicPartition
from kafka.structs import MemberState


def poll(consumer: Any, timeout: float, max_records: int) -> dict[TopicPartition, list[Any]]:
    """``KafkaConsumer.poll``, without the way in which kafka-python 3.0.12 leaves a group unnoticed.

    When a group's leader sees that a topic's partitions have changed, which happens at nearly every first join, it
    joins again. If that takes longer than the poll in which it began, it goes on in the background, and a later poll is
    to finish it. But performing the assignment also clears the reason for joining (``_perform_assignment`` takes over
    the snapshot that ``need_rejoin`` compares), so no later poll does: heartbeats stay off, new partitions never
    arrive, and after the session timeout the broker gives the old ones to others, while this consumer reads on and each
    of its commits is refused. Asking for the join again makes this poll finish the one in flight.

    Parameters:
        timeout: seconds.
    """
    if consumer.group_metadata().state == MemberState.REBALANCING:
        consumer._coordinator.request_rejoin()  # noqa: SLF001 - there is no public way to ask
    polled: dict[TopicPartition, list[Any]] = consumer.poll(timeout_ms=int(timeout * 1000), max_records=max_records)
    return polled
