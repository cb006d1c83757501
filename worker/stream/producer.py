"""Transactions of outputs and consumed offsets, and what kafka-python needs to be told so that they are whole."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any

import structlog
from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError

from worker.observe import metrics
from worker.settings import KafkaSettings, StreamSettings
from worker.stream import transactional_ids
from worker.stream.connection import UnbrokenClient
from worker.stream.mending import Mender
from worker.stream.publication import Publication

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 0.05
_GRACE_SECONDS = 0.05
"""After a connection is lost, for an answer that came over it before."""


class Producer:
    """Writes transactions under one transactional id; for one thread.

    A ``KafkaProducer`` whose transaction did not go through is never used again. kafka-python 3.0.12 keeps the offsets
    of a commit that the broker refused (``_pending_txn_offset_commits`` outlives ``abort_transaction``), and the next
    transaction commits them as well: offsets of records whose outputs were aborted, so whoever reads on from there has
    lost them. A new producer of the same transactional id knows nothing, and the broker aborts what the old one left.

    Nor is one that has lost a connection: see ``UnbrokenClient``.

    Parameters:
        mender: sees to it that what the old one left has an end in every partition, before the new one writes there: a
            transaction that hangs would become part of the next one, and be lost with it if that is aborted.
    """

    def __init__(self, kafka: KafkaSettings, stream: StreamSettings, mender: Mender) -> None:
        self._kafka = kafka
        self._stream = stream
        self._mender = mender
        self._producer: Any = None
        self._lost = threading.Event()
        self._whole = True

    def open(self, stopping: threading.Event) -> None:
        """Have a producer that works, however long that takes, or until ``stopping`` is set."""
        while not stopping.is_set():
            try:
                self._open(stopping)
            except (KafkaError, TimeoutError) as error:
                metrics.UNAVAILABLE.labels("kafka").set(1)
                log.warning("kafka_away", error=f"{type(error).__name__}: {error}"[:300])
                self.close()
                stopping.wait(1.0)
            else:
                metrics.UNAVAILABLE.labels("kafka").set(0)
                self._whole = True
                return

    def _open(self, stopping: threading.Event) -> None:
        name = transactional_ids.join(self._stream.group, self._stream.instance)
        under_way = self._mender.settle(name, stopping)
        self._lost = lost = threading.Event()
        self._producer = transactional_producer(self._kafka, self._stream, self._stream.instance, lost)
        within(self._stream.transaction_timeout, self._producer.init_transactions, lost)
        if under_way:
            self._mender.aborted(name)

    def transact(
        self, publications: Sequence[Publication], offsets: Mapping[TopicPartition, OffsetAndMetadata], metadata: Any
    ) -> None:
        """Write records and offsets, all of them or none.

        Parameters:
            metadata: the consumer's snapshot of its membership, which fences zombies (KIP-447).

        Raises:
            KafkaError, TimeoutError: it did not go through, or that is not known. Call ``recover``; then the group's
                committed offsets tell for certain.
        """
        producer = self._producer

        def write() -> None:
            producer.begin_transaction()
            with _partitions_at_once(producer, publications):
                sent = [
                    producer.send(record.topic, key=record.key, value=record.value, headers=record.headers)
                    for record in publications
                ]
            await_delivery(producer, sent)
            producer.send_offsets_to_transaction(offsets, metadata)
            producer.commit_transaction()

        self._whole = False
        if self._lost.is_set():
            raise KafkaConnectionError("a connection to Kafka was lost")
        # kafka-python waits for a transaction without a limit. The broker does not: after its time limit it has
        # aborted the transaction, and there is nothing left to wait for.
        within(self._stream.transaction_timeout, write, self._lost)
        self._whole = True

    def recover(self, stopping: threading.Event) -> None:
        """Have a producer that is fit for the next transaction, with none open behind it; else make one by ``open``.

        Between two transactions it is no failure that a connection was lost: one that idles for minutes is closed.
        """
        if not self._whole or self._lost.is_set():
            self.close()
            self.open(stopping)

    def close(self) -> None:
        """Let go of the connection; an open transaction is the next producer's, or the broker's, to abort."""
        if self._producer is None:
            return
        try:
            self._producer.close(timeout=1)
        except KafkaError as error:
            # It waited for records that will not be delivered, and left its thread running.
            log.debug("producer_closed", unsent=str(error))
            self._producer._sender.force_close()  # noqa: SLF001 - ``close`` does this only after it has waited
        self._producer = None


@contextmanager
def _partitions_at_once(producer: Any, publications: Sequence[Publication]) -> Iterator[None]:
    """For the time of the sends, the sender's thread asks for nothing: then all their partitions join at once.

    Else the first record wakes it, it adds that one's partition to the transaction (AddPartitionsToTxn), and the
    others wait for a second request like it.
    """
    for topic in {record.topic for record in publications}:
        producer.partitions_for(topic)  # known before: else sending would wait for that thread to ask
    with producer._transaction_manager._lock:  # noqa: SLF001 - there is no public way
        yield


def await_delivery(producer: Any, sent: Sequence[Any]) -> None:
    """Return when Kafka has every record of a transaction.

    Parameters:
        sent: what ``producer.send`` returned for each.

    Only then may offsets be added, or the transaction be committed. kafka-python 3.0.12 may commit without a record:
    when one expires (``delivery_timeout_ms``) while ``commit_transaction`` waits for it, ``reset_producer_id`` raises
    on the sender's thread before the failure is noted, and the commit that is queued goes out, with the offsets and
    without the record.

    Raises:
        KafkaError: one was not delivered.
    """
    producer.flush()
    for future in sent:
        future.get(timeout=5)


def transactional_producer(
    kafka: KafkaSettings, stream: StreamSettings, name: str, lost: threading.Event | None = None
) -> Any:
    """A ``KafkaProducer`` whose transactions begin once ``init_transactions`` was called.

    Parameters:
        name: tells it from the group's other producers; a second one of the same name fences the first.
        lost: if given, the producer sends nothing more once it has lost a connection, and sets this.
    """
    return KafkaProducer(
        **kafka.client(),
        **({} if lost is None else {"kafka_client": functools.partial(UnbrokenClient, lost)}),
        client_id=f"colour-worker-{name}",
        transactional_id=transactional_ids.join(stream.group, name),
        transaction_timeout_ms=int(stream.transaction_timeout * 1000),
        enable_idempotence=True,
        acks="all",
        compression_type=None if kafka.compression == "none" else kafka.compression,
        # A transaction is flushed as soon as its last record is handed over: waiting for more gains nothing.
        linger_ms=0,
        # The broker refuses a transaction's first partition while the markers of the one before are being written,
        # which takes milliseconds; kafka-python sleeps so long (default: 100) before it asks again.
        retry_backoff_ms=10,
        batch_size=256 << 10,
        max_request_size=stream.max_record_bytes + (1 << 20),
        max_block_ms=10_000,
        request_timeout_ms=10_000,
        delivery_timeout_ms=20_000,
        allow_auto_create_topics=False,
        metrics_enabled=False,  # its own, which nobody reads: our own are in worker.observe
    )


def within(seconds: float, call: Callable[[], None], lost: threading.Event | None = None) -> None:
    """Make a call that knows no time limit, and wait for ``seconds`` at most.

    Parameters:
        lost: when it is set, there is nothing to wait for any more.

    Raises:
        TimeoutError: it has not returned; its thread is left behind and ends with the process at the latest.
        KafkaConnectionError: likewise, because of ``lost``.
    """
    done: Future[None] = Future()

    def run() -> None:
        try:
            call()
            done.set_result(None)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the caller's to judge
            done.set_exception(error)

    threading.Thread(target=run, name="transaction", daemon=True).start()
    deadline = time.monotonic() + seconds
    while lost is not None and not done.done() and time.monotonic() < deadline:
        if lost.is_set() and not wait([done], timeout=_GRACE_SECONDS).done:
            raise KafkaConnectionError("a connection to Kafka was lost in the midst of it")
        wait([done], timeout=_LOOK_SECONDS)
    done.result(max(0.0, deadline - time.monotonic()))
