"""Which partitions are ours, and since when: what may still be committed after a rebalance."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable

import structlog
from kafka import TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener

log = structlog.get_logger(__name__)


class Ownership(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python is untyped
    """Gives every assignment of a partition a number, its lease.

    A batch remembers the leases under which it was read. When a partition was taken away in between, even if it came
    back, the lease is another and the batch's records of that partition are dropped: their new owner, or we ourselves
    from the committed offset on, reads them again.

    kafka-python calls the listener on its own IO thread, where it must not wait for anything: this one only counts.

    Parameters:
        on_assigned: called before each new assignment counts.
    """

    def __init__(self, on_assigned: Callable[[], None] = lambda: None) -> None:
        self._on_assigned = on_assigned
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._leases: dict[TopicPartition, int] = {}

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """New partitions, or (eager protocol) all of them anew."""
        assigned = list(assigned)
        self._on_assigned()
        with self._lock:
            for partition in assigned:
                self._leases[partition] = next(self._numbers)
        log.info("partitions_assigned", partitions=_names(assigned))

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Taken away in order: what is not committed by now is another worker's to do."""
        self._drop("partitions_revoked", revoked)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Taken away without asking, since we were silent for too long: nothing may be committed."""
        self._drop("partitions_lost", lost)

    def lease(self, partition: TopicPartition) -> int | None:
        """The number of the present assignment, or ``None`` when the partition is not ours."""
        with self._lock:
            return self._leases.get(partition)

    def partitions(self) -> frozenset[TopicPartition]:
        """What is ours now."""
        with self._lock:
            return frozenset(self._leases)

    def _drop(self, event: str, partitions: Iterable[TopicPartition]) -> None:
        partitions = list(partitions)
        with self._lock:
            for partition in partitions:
                self._leases.pop(partition, None)
        log.info(event, partitions=_names(partitions))


def _names(partitions: list[TopicPartition]) -> list[str]:
    return sorted(f"{partition.topic}/{partition.partition}" for partition in partitions)
