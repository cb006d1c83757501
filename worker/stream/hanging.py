"""Transactions that are over, and whose partitions were never told: how they are found, and how they ended.

The coordinator of a transaction writes a marker to each of its partitions and then calls it complete. Kafka 4.4.0
leaves out the marker of a partition that has no leader at that moment, as after a crash of all of its replicas: it
takes it for one of a deleted topic (KAFKA-20734). The transaction is complete, and open in that partition for ever:
``read_committed`` readers get nothing behind it, and where the partition is one of ``__consumer_offsets``, the offsets
in it stay UNSTABLE_OFFSET_COMMIT. No time limit applies, since to the coordinator nothing is open.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition

OFFSETS = "__consumer_offsets"

_OVER = frozenset({"Empty", "CompleteCommit", "CompleteAbort"})
_UNDER_WAY = "Ongoing"
_CLOCKS_MS = 2_000
"""How far the clock of a worker, which stamps its records, and of a broker, which stamps transactions, may be apart."""


@dataclass(frozen=True, slots=True)
class Open:
    """What a partition's leader holds to be under way: DescribeProducers (KIP-664).

    Parameters:
        start: offset of the transaction's first record there.
        epoch: of the producer, in this partition.
        coordinator_epoch: of the last marker there; -1 before the first.
        timestamp: of the producer's last record there, milliseconds.
    """

    partition: TopicPartition
    producer_id: int
    start: int
    epoch: int
    coordinator_epoch: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Hanging:
    """A transaction that is open in a partition and over for its coordinator.

    Parameters:
        name: its transactional id.
        committed: how it ended; ``None``: that cannot be told for certain any more.
    """

    place: Open
    name: str
    committed: bool | None


def find(
    admin: Any, partitions: Iterable[TopicPartition], ours: Callable[[str], bool], *, abandoned: bool = False
) -> list[Hanging]:
    """What hangs in these partitions at present.

    Sound however busy they are: a transaction is only called hanging when its partition had it before, and still has it
    after, the coordinator said that no transaction of this producer is under way.

    Parameters:
        admin: a ``KafkaAdminClient``.
        ours: whether a transactional id belongs to this group's workers; those of others are left alone.
        abandoned: nobody writes under these ids any more. Then a transaction may be under way, and what is open in
            partitions that are no part of it hangs all the same.

    Raises:
        KafkaError: somebody did not answer, or does not let us ask.
    """
    before = opened(admin, partitions)
    if not before:
        return []
    listed = admin.list_transactions(producer_id_filters=sorted({place.producer_id for place in before}))
    names = {listing.producer_id: listing.transactional_id for listings in listed.values() for listing in listings}
    names = {number: name for number, name in names.items() if ours(name)}
    descriptions = admin.describe_transactions(sorted(names.values()))
    suspects = [
        place
        for place in before
        if (name := names.get(place.producer_id)) is not None and _over(place, descriptions[name], abandoned=abandoned)
    ]
    if not suspects:
        return []
    still = {_identity(place) for place in opened(admin, {place.partition for place in suspects})}
    return [
        Hanging(place, names[place.producer_id], ended(place, descriptions[names[place.producer_id]]))
        for place in suspects
        if _identity(place) in still
    ]


def _over(place: Open, description: Any, *, abandoned: bool) -> bool:
    state = description.state.value
    return state in _OVER or (abandoned and state == _UNDER_WAY and place.partition not in description.topic_partitions)


def _identity(place: Open) -> tuple[TopicPartition, int, int]:
    return place.partition, place.producer_id, place.start


def opened(admin: Any, partitions: Iterable[TopicPartition]) -> list[Open]:
    """The transactions that partitions hold to be under way.

    Raises:
        KafkaError: a leader did not answer.
    """
    return [
        Open(
            partition=partition,
            producer_id=producer.producer_id,
            start=producer.current_transaction_start_offset,
            epoch=producer.producer_epoch,
            coordinator_epoch=producer.coordinator_epoch,
            timestamp=producer.last_timestamp,
        )
        for partition, found in admin.describe_producers(list(partitions)).items()
        for producer in found.active_producers
        if producer.current_transaction_start_offset >= 0
    ]


def ended(place: Open, description: Any) -> bool | None:
    """How the transaction that hangs in ``place`` ended, from what its coordinator remembers.

    It remembers the last state of a transactional id and the producer's epoch. Our workers end transactions in two ways
    only: they commit, which leaves the epoch as it is, or the coordinator aborts for them, after a timeout or for the
    next producer of the same id, which raises the epoch by one. ``init_transactions`` raises it by one, too, and leaves
    the id empty. So:

    - the epoch is the partition's: nothing was aborted since, whatever is under way now;
    - the id is empty, one epoch on: a producer was initialised and nothing aborted before it, so it was committed;
    - aborted, one epoch on: it was this transaction, if it began no earlier than the partition's last record was made;
      an earlier one, if there was one, was committed (then nobody can tell, and nothing is guessed).

    Parameters:
        description: a ``TransactionDescription``.

    Returns:
        Whether it was committed, or ``None`` if that cannot be told.
    """
    state, raised = description.state.value, description.producer_epoch - place.epoch
    if (state, raised) in {("CompleteCommit", 0), (_UNDER_WAY, 0), ("Empty", 1)}:
        return True
    if (state, raised) == ("CompleteAbort", 1):
        return False if place.timestamp >= description.transaction_start_time_ms - _CLOCKS_MS else None
    return None


def offsets_partition(group: str, partitions: Collection[int]) -> TopicPartition:
    """Where the group coordinator keeps a group's offsets: by Java's hash of its name, as all clients count on.

    Parameters:
        partitions: the numbers of all partitions of ``__consumer_offsets``.
    """
    hashed = 0
    units = group.encode("utf-16-be")
    for first, second in zip(units[::2], units[1::2], strict=True):
        hashed = (31 * hashed + (first << 8 | second)) & 0xFFFFFFFF
    signed = hashed - (1 << 32) if hashed >> 31 else hashed
    return TopicPartition(OFFSETS, (0 if signed == -(1 << 31) else abs(signed)) % len(partitions))
