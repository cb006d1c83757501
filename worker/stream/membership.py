"""What is asked of a consumer whose library answers some of it wrongly, around rebalances and pauses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.structs import MemberState

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 0.1
_ANSWER_SECONDS = 0.01
"""The longest wait for Kafka to say what came since it was asked last."""


class PartitionLost(KafkaError):  # type: ignore[misc]  # kafka-python is untyped
    """A partition was taken away meanwhile: another member goes on with it."""


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


def go_back(consumer: Any, partition: TopicPartition, timeout: float) -> None:
    """Read on from the committed offset; without one, from the beginning.

    Parameters:
        timeout: seconds.

    Raises:
        KafkaError: Kafka does not tell the offset, or (``PartitionLost``) the partition is not ours any more.
    """
    found = committed(consumer, partition, timeout)
    if found is None:
        _refuse_unassigned(consumer, partition)
        consumer.seek_to_beginning(partition)
    else:
        seek(consumer, partition, found.offset)


def seek(consumer: Any, partition: TopicPartition, offset: int) -> None:
    """Read on from an offset.

    Raises:
        PartitionLost: the partition is not ours any more.
    """
    _refuse_unassigned(consumer, partition)
    consumer.seek(partition, offset)


def _refuse_unassigned(consumer: Any, partition: TopicPartition) -> None:
    # kafka-python raises ValueError, as for an offset that is no number.
    if partition not in consumer.assignment():
        raise PartitionLost(f"{partition.topic}/{partition.partition} is not assigned to us any more")


def forget_committed(consumer: Any) -> None:
    """Drop every such answer that is kept: what was asked before an assignment must not decide where it begins."""
    consumer._coordinator._offset_fetch_futures.clear()  # noqa: SLF001 - see above


def notice_losses(consumer: Any) -> None:
    """Have the listener told of every loss of the membership, also of one in the midst of a join.

    kafka-python 3.0.12 looks whether partitions were lost before it joins, once for all attempts of a join. A member
    that is put out of its group between them (frozen for longer than a session while the group shares out anew) joins
    again as if it had lost nothing: it goes on reading where it was, behind what others have committed meanwhile.

    Parameters:
        consumer: one that has not joined yet.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - there is no public way
    reset = coordinator.reset_generation

    def reset_and_look_again(*arguments: Any, **named: Any) -> None:
        reset(*arguments, **named)
        coordinator.rejoining = False

    coordinator.reset_generation = reset_and_look_again


class _Unanswered:
    """A join's task that never looks finished to kafka-python: it awaits it, and gets an answer that is there at once.

    Parameters:
        task: the ``kafka.future.Future`` of one JoinGroup and SyncGroup.
    """

    is_done = False

    def __init__(self, task: Any) -> None:
        self.task = task

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


@contextmanager
def _finishing_a_join(consumer: Any) -> Iterator[None]:
    """For the time of one poll: whatever join is under way or answered is finished by it, not begun again."""
    if consumer.group_metadata().state != MemberState.REBALANCING:
        yield  # a stable member; or one that was put out of its group, to which the answer to its last join is nothing
        return
    coordinator = consumer._coordinator  # noqa: SLF001 - there is no public way to ask
    coordinator.request_rejoin()
    if coordinator._join_task is not None:  # noqa: SLF001
        coordinator._join_task = _Unanswered(coordinator._join_task)  # noqa: SLF001
    try:
        yield
    finally:
        if isinstance(coordinator._join_task, _Unanswered):  # noqa: SLF001
            coordinator._join_task = coordinator._join_task.task  # noqa: SLF001


def _free_what_was_paused(consumer: Any) -> None:
    """Make room for records that were fetched before their partition was paused.

    kafka-python 3.0.12 sets them aside and takes them up again once nothing else is being read. What it read last
    counts as being read though it is used up, until another fetch brings records; where no other partition has any,
    those that were set aside never come, and are not fetched again either.
    """
    fetcher = consumer._fetcher  # noqa: SLF001 - there is no public way
    if not fetcher._next_partition_records:  # noqa: SLF001 - false also when used up
        fetcher._next_partition_records = None  # noqa: SLF001


def poll(consumer: Any, timeout: float, max_records: int) -> dict[TopicPartition, list[Any]]:
    """``KafkaConsumer.poll``, without two ways in which kafka-python 3.0.12 does not become a member of its group.

    (And without a third one in which it keeps records back: see ``_free_what_was_paused``.)

    A join that ends while nobody polls is thrown away, and the next poll sends another (``join_group_async`` awaits a
    task that is under way, but begins anew where it is done). A consumer that polls briefly and pauses in between, as
    one does whose queue is full, would join again and again and never be a member. So a join whose answer nobody has
    taken is shown to the library as one that is under way, and this poll takes its answer.

    The other way leads out of the group, unnoticed. When a group's leader sees that a topic's partitions have changed
    (or knows them, and did not when it subscribed), it joins again. If that takes longer than the poll in which it
    began, it goes on in the background, and a later poll is to finish it. But performing the assignment also clears the
    reason for joining (``_perform_assignment`` takes over the snapshot that ``need_rejoin`` compares), so no later poll
    does: heartbeats stay off, new partitions never arrive, and after the session timeout the broker gives the old ones
    to others, while this consumer reads on and each of its commits is refused. Asking for the join again makes this
    poll finish the one in flight.

    A broker that is away for a moment is no reason to leave either: a connection that it refuses in the midst of a
    rebalance comes out of ``KafkaConsumer.poll`` as an error, and the next poll tries again. Nothing is skipped by it:
    a poll speaks to the coordinator before it takes records out of its buffer.

    Parameters:
        timeout: seconds.

    Raises:
        KafkaError: one that trying again does not mend, for example because the credentials are refused.
    """
    _free_what_was_paused(consumer)
    try:
        with _finishing_a_join(consumer):
            polled: dict[TopicPartition, list[Any]] = consumer.poll(
                timeout_ms=int(timeout * 1000), max_records=max_records
            )
    except KafkaError as error:
        if not error.retriable:
            raise
        log.warning("kafka_away", error=f"{type(error).__name__}: {error}"[:300])
        time.sleep(_PAUSE_SECONDS)
        return {}
    return polled


def poll_all(
    consumer: Any, timeout: float, max_records: int, lease: Callable[[TopicPartition], int | None]
) -> dict[TopicPartition, list[Any]]:
    """``poll`` for all that waits in Kafka, as far as it is no more than ``max_records``.

    A poll of kafka-python returns what it has, and then asks Kafka for more, which the poll after it returns. One that
    has nothing asks Kafka and waits for the answer. So a consumer that once had something goes on to be a poll behind
    for as long as records come. Here such a poll is followed by one that waits for the answer.

    Parameters:
        timeout: seconds.
        lease: tells under which assignment a partition is ours. What was taken away and given back between the two
            polls is left out: it is read again, from the committed offset on.

    Raises:
        KafkaError: as ``poll``.
    """
    fetcher = consumer._fetcher  # noqa: SLF001 - there is no public way
    behind = bool(fetcher._next_partition_records) or bool(fetcher._completed_fetches)  # noqa: SLF001
    polled = poll(consumer, timeout, max_records)
    found = sum(map(len, polled.values()))
    if not behind or not 0 < found < max_records:
        return polled
    leases = {partition: lease(partition) for partition in polled}
    newer = poll(consumer, _ANSWER_SECONDS, max_records - found)
    kept = {partition: records for partition, records in polled.items() if lease(partition) == leases[partition]}
    return {partition: kept.get(partition, []) + newer.get(partition, []) for partition in {**kept, **newer}}
