"""One Kafka transaction for what is computed: outputs, retries, dead letters and the consumed offsets together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from worker.observe import metrics
from worker.settings import KafkaSettings, StreamSettings
from worker.stream.envelope import Envelope
from worker.stream.inflight import Batch, InFlight, Item
from worker.stream.ownership import Ownership
from worker.stream.publication import Publication
from worker.stream.topics import Topics
from worker.stream.witness import Witness, count, no_witness
from worker.tagger import Outcome

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one record; ``publication`` is ``None`` when nothing is written about it."""

    item: Item
    outcome: Outcome
    publication: Publication | None


class Publishing(Protocol):
    """Turns an outcome into a record; ``Publisher`` does it for live traffic."""

    @property
    def topics(self) -> Topics:
        """Where the records go."""
        ...

    def publish(self, envelope: Envelope, outcome: Outcome, now: datetime) -> Publication | None:
        """The record that answers ``envelope``, or ``None`` for no record."""
        ...


Notes = Callable[[Sequence[Answer], Mapping[TopicPartition, int]], Mapping[TopicPartition, str]]
"""What is written beside each offset, in the same transaction, from what it answers and how far it reaches."""


def no_notes(_answers: Sequence[Answer], _offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, str]:
    """Nothing."""
    return {}


class MembershipLost(KafkaError):  # type: ignore[misc]  # kafka-python is untyped
    """The consumer is in no generation of its group: offsets sent without one would not be fenced."""


class Committer(threading.Thread):
    """Commits computed batches in the order in which they were read.

    A thread of its own, since a commit waits for Kafka while the consumer must go on polling to stay in the group. When
    a transaction does not go through, it is aborted, the producer is made anew if it has to be, and the queue is marked
    as failed: the consumer then goes back to the committed offsets, which tell for certain what was written.

    Parameters:
        in_flight: the queue; batches are taken from its front.
        ownership: drops what is no longer ours.
        publisher: makes records of outcomes.
        group_metadata: the consumer's snapshot of its membership, which fences zombies (KIP-447).
        on_commit: called after each commit, with nothing; for liveness.
        notes: what is written beside the offsets.
        witness: is told what was committed.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        stream: StreamSettings,
        *,
        in_flight: InFlight,
        ownership: Ownership,
        publisher: Publishing,
        group_metadata: Callable[[], Any],
        on_commit: Callable[[], None],
        notes: Notes = no_notes,
        witness: Witness = no_witness,
    ) -> None:
        super().__init__(name="committer", daemon=True)
        self._kafka = kafka
        self._stream = stream
        self._in_flight = in_flight
        self._ownership = ownership
        self._publisher = publisher
        self._group_metadata = group_metadata
        self._on_commit = on_commit
        self._notes = notes
        self._witness = witness
        self._producer: Any = None
        self._stopping = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Commit until the queue is closed."""
        try:
            self._open()
            while batches := self._in_flight.wait_for_computed():
                self._commit_or_recover(batches)
        except BaseException as error:  # a bug of ours: the consumer thread sees it and stops the process
            self.failure = error
            log.exception("committer_failed")
        finally:
            self._close()

    def stop(self) -> None:
        """Let the thread end; what is not committed yet is not."""
        self._stopping.set()
        self._in_flight.close()

    def _commit_or_recover(self, batches: Sequence[Batch]) -> None:
        started = time.perf_counter()
        try:
            self._commit(batches)
        except (KafkaError, CancelledError, TimeoutError) as error:
            metrics.TRANSACTIONS.labels("aborted").inc()
            log.warning("transaction_failed", error=f"{type(error).__name__}: {error}"[:300])
            self._recover(abort=not isinstance(error, TimeoutError))
            self._in_flight.fail()
        else:
            metrics.TRANSACTIONS.labels("committed").inc()
            metrics.STAGE.labels("commit").observe(time.perf_counter() - started)
            self._in_flight.remove(batches)

    def _commit(self, batches: Sequence[Batch]) -> None:
        metadata = self._group_metadata()
        # Ownership is read after the membership: a partition that is ours now was ours in that generation.
        answered: list[tuple[Item, Outcome]] = []
        positions: dict[TopicPartition, int] = {}
        for batch in batches:
            kept = self._still_ours(batch)
            outcomes = batch.outcomes.result()
            pairs = [pair for pair in zip(batch.items, outcomes, strict=True) if pair[0].partition in kept]
            answered += pairs
            positions |= {item.partition: item.offset + 1 for item, _ in pairs}
            positions |= {partition: offset for partition, offset in batch.reached.items() if partition in kept}
        if not positions:
            return
        if metadata.generation_id < 0:
            raise MembershipLost
        now = datetime.now(UTC)
        answers = [
            Answer(item, outcome, self._publisher.publish(item.envelope, outcome, now)) for item, outcome in answered
        ]
        notes = self._notes(answers, positions)
        offsets = {
            partition: OffsetAndMetadata(offset, notes.get(partition, ""), -1)
            for partition, offset in positions.items()
        }
        self._transact([answer.publication for answer in answers if answer.publication is not None], offsets, metadata)
        self._on_commit()
        count(answers, self._publisher.topics.dead, now)
        self._witness(answers)

    def _still_ours(self, batch: Batch) -> set[TopicPartition]:
        return {partition for partition, lease in batch.leases.items() if self._ownership.lease(partition) == lease}

    def _transact(
        self, publications: Sequence[Publication], offsets: Mapping[TopicPartition, OffsetAndMetadata], metadata: Any
    ) -> None:
        producer = self._producer

        def transact() -> None:
            producer.begin_transaction()
            sent = [
                producer.send(record.topic, key=record.key, value=record.value, headers=record.headers)
                for record in publications
            ]
            await_delivery(producer, sent)
            producer.send_offsets_to_transaction(offsets, metadata)
            producer.commit_transaction()

        # kafka-python waits for a transaction without a limit. The broker does not: after its time limit it has
        # aborted the transaction, and there is nothing left to wait for.
        within(self._stream.transaction_timeout, transact)

    def _recover(self, *, abort: bool) -> None:
        """Leave no open transaction behind, and have a producer that works, however long that takes.

        Parameters:
            abort: try to keep the producer; not when a call of its transaction is still under way.
        """
        if not (abort and self._aborted()):
            # A new producer with the same transactional id completes or aborts whatever the old one left.
            self._close()
            self._open()

    def _aborted(self) -> bool:
        try:
            within(self._stream.transaction_timeout / 2, self._producer.abort_transaction)
        except (KafkaError, AssertionError, ValueError, TimeoutError) as error:
            # Fatal for this producer: fenced, its epoch gone, or silent.
            log.info("producer_renewed", cause=f"{type(error).__name__}: {error}"[:300])
            return False
        return True

    def _open(self) -> None:
        while not self._stopping.is_set():
            try:
                self._producer = transactional_producer(self._kafka, self._stream, self._stream.instance)
                self._producer.init_transactions()
            except KafkaError as error:
                metrics.UNAVAILABLE.labels("kafka").set(1)
                log.warning("kafka_away", error=f"{type(error).__name__}: {error}"[:300])
                self._close()
                self._stopping.wait(1.0)
            else:
                metrics.UNAVAILABLE.labels("kafka").set(0)
                return

    def _close(self) -> None:
        if self._producer is not None:
            try:
                self._producer.close(timeout=1)
            except KafkaError as error:  # records of an aborted transaction that will never be delivered
                log.debug("producer_closed", unsent=str(error))
            self._producer = None


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


def transactional_producer(kafka: KafkaSettings, stream: StreamSettings, name: str) -> Any:
    """A ``KafkaProducer`` whose transactions begin once ``init_transactions`` was called.

    Parameters:
        name: tells it from the group's other producers; a second one of the same name fences the first.
    """
    return KafkaProducer(
        **kafka.client(),
        client_id=f"colour-worker-{name}",
        transactional_id=f"{stream.group}-{name}",
        transaction_timeout_ms=int(stream.transaction_timeout * 1000),
        enable_idempotence=True,
        acks="all",
        compression_type=None if kafka.compression == "none" else kafka.compression,
        linger_ms=5,
        batch_size=256 << 10,
        max_request_size=stream.max_record_bytes + (1 << 20),
        max_block_ms=10_000,
        request_timeout_ms=10_000,
        delivery_timeout_ms=20_000,
        allow_auto_create_topics=False,
    )


def within(seconds: float, call: Callable[[], None]) -> None:
    """Make a call that knows no time limit, and wait for ``seconds`` at most.

    Raises:
        TimeoutError: it has not returned; its thread is left behind and ends with the process at the latest.
    """
    done: Future[None] = Future()

    def run() -> None:
        try:
            call()
            done.set_result(None)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the caller's to judge
            done.set_exception(error)

    threading.Thread(target=run, name="transaction", daemon=True).start()
    done.result(seconds)
