"""Ends transactions that hang, as their coordinator meant it, so that one crash of a broker stops nobody for ever."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import structlog
from kafka import KafkaAdminClient, TopicPartition
from kafka import errors as kafka_errors
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    KafkaTimeoutError,
    TransactionalIdNotFoundError,
    UnsupportedVersionError,
)
from kafka.protocol.producer.transaction import WriteTxnMarkersRequest

from worker.observe import metrics
from worker.observe.progress import Progress
from worker.settings import KafkaSettings, StreamSettings
from worker.stream import hanging, transactional_ids
from worker.stream.hanging import Hanging
from worker.stream.topics import Topics

log = structlog.get_logger(__name__)

_ENDING = frozenset({"PrepareCommit", "PrepareAbort", "PrepareEpochFence"})
_SECONDS_BETWEEN_LOOKS = 0.2
_ENDING_SECONDS = 10.0
_NOT_WORKERS = ("redrive", "replay.")
"""Producers of this group's commands, which also abort by themselves: see ``hanging.ended``."""


class Mender:
    """Looks for transactions of one group's workers that hang, and writes the markers that they miss.

    The marker says what the coordinator remembers; where it no longer can, nothing is written, and an operator is told.
    That is KIP-664's ``abort``, which can also be a commit: WriteTxnMarkers, by which a coordinator ends its own
    transactions. On a cluster with ACLs it needs ``Alter`` on the cluster, and the search ``Read`` on the topics, that
    of the group's offsets included, and ``Describe`` on the transactional ids.

    Parameters:
        topics: where the workers write.
    """

    def __init__(self, kafka: KafkaSettings, stream: StreamSettings, topics: Topics) -> None:
        self._kafka = kafka
        self._group = stream.group
        self._topics = (topics.coloured, *topics.retries, topics.dead)
        self._may = True

    def settle(self, name: str, stopping: threading.Event) -> bool:
        """Before a producer takes over a transactional id: let its last transaction end, and mend it if it hangs.

        Afterwards would be too late: ``init_transactions`` makes the coordinator forget how it ended. The producer that
        had the id before must not send any more.

        Returns:
            Whether a transaction is under way, which ``init_transactions`` will abort; then call ``aborted`` after it.

        Raises:
            KafkaError: Kafka is away, or the transaction does not end for long.
        """
        deadline = time.monotonic() + _ENDING_SECONDS
        with self._admin() as admin:
            while not stopping.is_set():
                try:
                    state = admin.describe_transactions([name])[name].state.value
                except (TransactionalIdNotFoundError, AuthorizationError, UnsupportedVersionError):
                    return False
                if state not in _ENDING:
                    self._mend(admin, lambda other: other == name, abandoned=True)
                    return bool(state == "Ongoing")
                if time.monotonic() > deadline:
                    raise KafkaTimeoutError(f"{name}: its last transaction is still {state}")
                stopping.wait(_SECONDS_BETWEEN_LOOKS)
        return False

    def aborted(self, name: str) -> None:
        """After ``init_transactions`` aborted what was under way: mend it if that hangs.

        Raises:
            KafkaError: Kafka is away.
        """
        with self._admin() as admin:
            self._mend(admin, lambda other: other == name, else_aborted=True)

    def mend(self) -> list[Hanging]:
        """Look at the whole group once, and end what hangs.

        Returns:
            What still hangs.

        Raises:
            KafkaError: Kafka is away.
        """
        with self._admin() as admin:
            return self._mend(admin, self._is_ours)

    def find(self) -> list[Hanging]:
        """What hangs in the group at present; nothing is changed.

        Raises:
            KafkaError: Kafka is away, or does not let us ask.
        """
        with self._admin() as admin:
            return hanging.find(admin, self._partitions(admin), self._is_ours)

    def end(self, name: str, *, committed: bool | None) -> list[Hanging]:
        """End what hangs of one transactional id, as somebody says who knows.

        Parameters:
            committed: how it ended; ``None``: as its coordinator remembers.

        Returns:
            What still hangs.

        Raises:
            KafkaError: Kafka is away, or does not let us ask.
        """
        with self._admin() as admin:
            found = hanging.find(admin, self._partitions(admin), lambda other: other == name)
            return self._end_all(
                admin, [one if committed is None else replace(one, committed=committed) for one in found]
            )

    def _is_ours(self, name: str) -> bool:
        group, producer = transactional_ids.split(name)
        return group == self._group and not producer.startswith(_NOT_WORKERS)

    def _mend(
        self, admin: Any, ours: Callable[[str], bool], *, abandoned: bool = False, else_aborted: bool = False
    ) -> list[Hanging]:
        if not self._may:
            return []
        try:
            found = hanging.find(admin, self._partitions(admin), ours, abandoned=abandoned)
        except (AuthorizationError, UnsupportedVersionError) as error:
            self._may = False
            log.warning("cannot_look_for_hanging_transactions", error=f"{type(error).__name__}: {error}"[:300])
            return []
        if else_aborted:
            found = [replace(one, committed=bool(one.committed)) for one in found]
        return self._end_all(admin, found)

    def _end_all(self, admin: Any, found: Iterable[Hanging]) -> list[Hanging]:
        left = [one for one in found if one.committed is None or not self._end(admin, one, committed=one.committed)]
        for one in left:
            self._tell(one)
        return left

    def _partitions(self, admin: Any) -> list[TopicPartition]:
        described = {
            topic["name"]: [partition["partition_index"] for partition in topic["partitions"]]
            for topic in admin.describe_topics([*self._topics, hanging.OFFSETS])
        }
        places = [TopicPartition(topic, number) for topic in self._topics for number in described.get(topic, ())]
        if numbers := described.get(hanging.OFFSETS):  # none before the cluster's first group
            places.append(hanging.offsets_partition(self._group, numbers))
        return places

    def _end(self, admin: Any, one: Hanging, *, committed: bool) -> bool:
        facts = _facts(one) | {"committed": committed}
        try:
            write_marker(admin, one, committed=committed)
        except KafkaError as error:
            log.warning("transaction_not_mended", **facts, error=f"{type(error).__name__}: {error}"[:300])
            return False
        metrics.MENDED.labels("committed" if committed else "aborted").inc()
        log.warning("transaction_mended", **facts)
        return True

    def _tell(self, one: Hanging) -> None:
        log.error(
            "transaction_hangs",
            **_facts(one),
            effect="read_committed readers get nothing behind it",
            remedy=f"colour-worker hanging end {one.name} --as committed|aborted; which of them: docs/reliability.md",
        )

    @contextmanager
    def _admin(self) -> Iterator[Any]:
        admin = KafkaAdminClient(
            **self._kafka.client(),
            client_id="colour-worker-mender",
            request_timeout_ms=5_000,
            bootstrap_timeout_ms=5_000,
        )
        try:
            yield admin
        finally:
            admin.close()


def write_marker(admin: Any, one: Hanging, *, committed: bool) -> None:
    """End a transaction in one partition.

    kafka-python's ``abort_transaction`` sends the same request with the other result.

    Raises:
        KafkaError: the leader refused it, or is away.
    """
    place = one.place
    markers = WriteTxnMarkersRequest.WritableTxnMarker
    request = WriteTxnMarkersRequest(
        markers=[
            markers(
                producer_id=place.producer_id,
                producer_epoch=place.epoch,
                transaction_result=committed,
                topics=[
                    markers.WritableTxnMarkerTopic(
                        name=place.partition.topic, partition_indexes=[place.partition.partition]
                    )
                ],
                coordinator_epoch=max(place.coordinator_epoch, 0),
            )
        ]
    )

    async def send() -> Any:
        leaders = await admin._async_get_leader_for_partitions([place.partition])  # noqa: SLF001 - no public way
        return await admin._manager.send(request, node_id=next(iter(leaders)))  # noqa: SLF001

    response = admin._manager.run(send)  # noqa: SLF001
    for marker in response.markers:
        for topic in marker.topics:
            for partition in topic.partitions:
                if partition.error_code:
                    raise kafka_errors.for_code(partition.error_code)


class Watch(threading.Thread):
    """Looks for hanging transactions of the whole group, of workers that no longer run too, until it is stopped.

    Parameters:
        every: seconds.
        progress: is told what hangs.
    """

    def __init__(self, mender: Mender, every: float, progress: Progress) -> None:
        super().__init__(name="mending", daemon=True)
        self._mender = mender
        self._every = every
        self._progress = progress
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look again and again, at moments of its own: the workers of a group need not look at once."""
        while not self._stopping.wait(self._every * random.uniform(0.5, 1.5)):
            try:
                left = self._mender.mend()
            except KafkaError as error:
                log.debug("kafka_away", error=f"{type(error).__name__}: {error}"[:300])
                continue
            metrics.HANGING.set(len(left))
            self._progress.hindered("transactions hang, see docs/reliability.md", _places(left))

    def stop(self) -> None:
        """Let the thread end with its next look."""
        self._stopping.set()


def _places(left: Iterable[Hanging]) -> str:
    return ", ".join(sorted(f"{one.place.partition.topic}/{one.place.partition.partition}" for one in left))


def _facts(one: Hanging) -> dict[str, Any]:
    place = one.place
    return {
        "partition": f"{place.partition.topic}/{place.partition.partition}",
        "start": place.start,
        "transactional_id": one.name,
        "producer_id": place.producer_id,
        "producer_epoch": place.epoch,
    }
