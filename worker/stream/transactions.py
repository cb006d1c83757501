"""One Kafka transaction for what is computed: outputs, retries, dead letters and the consumed offsets together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from worker.observe import metrics
from worker.settings import KafkaSettings, StreamSettings
from worker.stream.envelope import Envelope
from worker.stream.inflight import Batch, InFlight, Item
from worker.stream.mending import Mender
from worker.stream.ownership import Ownership
from worker.stream.producer import Producer
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

    def admitted(self, envelope: Envelope, outcome: Outcome) -> Outcome:
        """``outcome``, unless its answer could not be written."""
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
    a transaction does not go through, the producer is made anew and the queue is marked as failed: the consumer then
    goes back to the committed offsets, which tell for certain what was written.

    Parameters:
        in_flight: the queue; batches are taken from its front.
        ownership: drops what is no longer ours.
        publisher: makes records of outcomes.
        group_metadata: the consumer's snapshot of its membership, which fences zombies (KIP-447).
        on_commit: called after each commit, with nothing; for liveness.
        mender: ends what a crashed broker left open.
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
        mender: Mender,
        notes: Notes = no_notes,
        witness: Witness = no_witness,
    ) -> None:
        super().__init__(name="committer", daemon=True)
        self._in_flight = in_flight
        self._ownership = ownership
        self._publisher = publisher
        self._group_metadata = group_metadata
        self._on_commit = on_commit
        self._notes = notes
        self._witness = witness
        self._producer = Producer(kafka, stream, mender)
        self._stopping = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Commit until the queue is closed."""
        try:
            self._producer.open(self._stopping)
            while batches := self._in_flight.wait_for_computed():
                self._producer.recover(self._stopping)
                self._commit_or_recover(batches)
        except BaseException as error:  # a bug of ours: the consumer thread sees it and stops the process
            self.failure = error
            log.exception("committer_failed")
        finally:
            self._producer.close()

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
            self._producer.recover(self._stopping)
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
            pairs = [
                (item, self._publisher.admitted(item.envelope, outcome))
                for item, outcome in zip(batch.items, outcomes, strict=True)
                if item.partition in kept
            ]
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
        publications = [answer.publication for answer in answers if answer.publication is not None]
        self._producer.transact(publications, offsets, metadata)
        self._on_commit()
        count(answers, self._publisher.topics.dead, now)
        self._witness(answers)

    def _still_ours(self, batch: Batch) -> set[TopicPartition]:
        return {partition for partition, lease in batch.leases.items() if self._ownership.lease(partition) == lease}
