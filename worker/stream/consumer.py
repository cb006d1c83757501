"""The loop: poll, form batches, hand them over, stay in the group whatever happens.

One thread owns the consumer. It never waits for a photo, for Triton or for a transaction: batches are computed on the
tagger's event loop and committed by the committer's thread, in the order in which they were read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from worker.observe import metrics
from worker.observe.progress import Progress
from worker.settings import KafkaSettings, StreamSettings
from worker.stream import membership
from worker.stream.assignment import EvenByTopicAssignor
from worker.stream.batching import BatchSize
from worker.stream.computation import Computation
from worker.stream.delays import Delays
from worker.stream.envelope import Envelope
from worker.stream.gathering import Gathering
from worker.stream.inflight import Batch, InFlight, Item
from worker.stream.mending import Mender, Watch
from worker.stream.ownership import Ownership
from worker.stream.positions import Positions
from worker.stream.topics import Topics
from worker.stream.transactions import Committer, Notes, Publishing, no_notes
from worker.stream.witness import Witness, no_witness

log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.1
_GATHER_SECONDS = 0.5
"""The longest that a poll is put off: the group's rebalances are seen to by polls."""
_LAG_SECONDS = 1.0
_PROBE_SECONDS = 10.0
_WARM_FACTOR = 4
"""How many times the configured size a batch may have while the cache answers."""


class Stream:
    """Consumes the listings and retries of one group, until told to stop.

    Parameters:
        topics: what is read and written.
        computation: answers batches.
        publisher: makes records of answers.
        notes: what is written beside committed offsets.
        witness: is told what was committed.
        progress: is told of every sign of life.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        settings: StreamSettings,
        *,
        topics: Topics,
        computation: Computation,
        publisher: Publishing,
        progress: Progress,
        notes: Notes = no_notes,
        witness: Witness = no_witness,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._computation = computation
        self._progress = progress
        self._delays = Delays()
        self._ownership = Ownership(on_assigned=lambda: membership.forget_committed(self._consumer))
        self._in_flight = InFlight(settings.max_batches_in_flight, settings.max_bytes_in_flight)
        self._consumer = _make_consumer(kafka, settings, self._ownership)
        self._positions = Positions(self._consumer, progress)
        mender = Mender(kafka, settings, topics)
        self._watch = Watch(mender, settings.transaction_timeout, progress)
        self._committer = Committer(
            kafka,
            settings,
            in_flight=self._in_flight,
            ownership=self._ownership,
            publisher=publisher,
            group_metadata=self._consumer.group_metadata,
            on_commit=progress.committed,
            mender=mender,
            notes=notes,
            witness=witness,
        )
        self._gathering = Gathering(self._in_flight, settings.max_batch, work=computation.processor_seconds)
        self._batch_size = BatchSize(settings.max_batch, _WARM_FACTOR * settings.max_batch)
        self._taken: dict[TopicPartition, tuple[int, int]] = {}
        self._lag_due = 0.0
        self._lagging: frozenset[TopicPartition] = frozenset()

    def run(self, stopping: threading.Event) -> None:
        """Work until ``stopping`` is set, then finish what is in flight, leave the group and return.

        Raises:
            KafkaError: one that cannot be waited out, for example because the credentials are refused.
        """
        self._committer.start()
        self._watch.start()
        try:
            self._consumer.subscribe(topics=list(self._topics.consumed), listener=self._ownership)
            # A leader of the group that does not know a topic's partitions yet assigns none of them, to anybody. Asked
            # for once subscribed: what was known before is no part of what kafka-python compares the partitions with
            # that it learns of later, so the leader would have the group join again, and what was read until then be
            # refused (IllegalGeneration).
            for topic in self._topics.consumed:
                self._consumer.partitions_for_topic(topic)
            while not stopping.is_set():
                self._turn()
            drained = self._in_flight.wait_until_empty(self._settings.drain_timeout)
            log.info("drained" if drained else "drain_timed_out", left=len(self._in_flight))
        finally:
            self._watch.stop()
            self._committer.stop()
            self._committer.join(timeout=2)
            self._in_flight.clear()
            self._consumer.close(autocommit=False, timeout_ms=2_000)

    def _turn(self) -> None:
        self._recover()
        self._gathering.wait(_GATHER_SECONDS)
        room = self._in_flight.has_room()
        reading = room and not self._computation.waits
        self._steer(reading=reading)
        # With a full queue the wait is below, where a commit ends it; a poll would sit its time out.
        timeout = _POLL_SECONDS if room else 0.0
        polled = membership.poll_all(self._consumer, timeout, self._batch_size.update(), self._ownership.lease)
        if polled:
            self._take(polled)
            self._gathering.begun(sum(map(len, polled.values())))
        elif not room:
            self._in_flight.wait_for_room(_POLL_SECONDS)
        self._report_lag(reading=reading)

    def _recover(self) -> None:
        if self._committer.failure is not None:
            raise self._committer.failure
        if self._in_flight.failed:
            self._rewind("transaction_failed")

    def _held(self) -> frozenset[TopicPartition]:
        """The partitions that are not to be read at present, whatever there is room for."""
        return self._delays.holding(datetime.now(UTC)) | self._positions.lost

    def _steer(self, *, reading: bool) -> None:
        """Pause what must wait and resume the rest; a paused partition still heartbeats."""
        owned = self._ownership.partitions()
        pause = self._held() & owned if reading else owned
        paused = self._consumer.paused()
        if now_paused := pause - paused:
            self._consumer.pause(*now_paused)
        if now_resumed := (paused & owned) - pause:
            self._consumer.resume(*now_resumed)

    def _take(self, polled: dict[TopicPartition, list[Any]]) -> None:
        now = datetime.now(UTC)
        items: list[Item] = []
        leases: dict[TopicPartition, int] = {}
        for partition, records in polled.items():
            lease = self._ownership.lease(partition)
            if lease is None or partition in self._positions.lost:
                continue  # revoked by the very poll that returned it, or read where it is not to go on
            due = self._due(partition, self._not_taken(partition, lease, records), now)
            if due:
                items += due
                leases[partition] = lease
                self._taken[partition] = (lease, due[-1].offset + 1)
        if not items:
            return
        self._progress.received()
        size = sum(len(item.envelope.value or b"") + len(item.envelope.key or b"") for item in items)
        outcomes = self._computation.submit([item.envelope.value for item in items])
        self._in_flight.add(Batch(items, leases, size, outcomes))

    def _not_taken(self, partition: TopicPartition, lease: int, records: Sequence[Any]) -> Sequence[Any]:
        """Under one lease no record is taken twice, whatever moves the consumer's position back.

        A late answer about committed offsets does, for example.
        """
        taken_under, following = self._taken.get(partition, (lease, 0))
        if taken_under != lease:
            return records
        return [record for record in records if record.offset >= following]

    def _due(self, partition: TopicPartition, records: Sequence[Any], now: datetime) -> Sequence[Item]:
        retried = partition.topic in self._topics.retries
        items = [Item(partition, record.offset, Envelope.open(record, retried=retried)) for record in records]
        due, waiting = self._delays.split(items, now)
        if waiting is not None:
            self._delays.hold(partition, waiting)
            self._consumer.pause(partition)
            self._consumer.seek(partition, waiting.offset)
        return due

    def _rewind(self, cause: str) -> None:
        """Forget what is in flight and go back to the committed offsets: only Kafka knows what was written."""
        metrics.REWINDS.labels(cause).inc()
        if not self._go_back():
            return
        self._delays.clear()
        self._taken.clear()
        self._in_flight.clear()
        log.info("rewound", cause=cause)

    def _go_back(self) -> bool:
        """Whether nothing will be read that was not committed; else the queue stays failed, and it is tried again."""
        self._positions.lose(self._ownership.partitions())
        self._lag_due = 0.0
        return True

    def _report_lag(self, *, reading: bool) -> None:
        self._progress.turned(reading=reading)
        if (now := time.monotonic()) < self._lag_due:
            return
        self._lag_due = now + _LAG_SECONDS
        owned = self._ownership.partitions()
        self._positions.find(owned)
        for partition in self._lagging - owned:  # its lag is another worker's to tell; ours would stand still for ever
            metrics.LAG.remove(partition.topic, partition.partition)
        self._lagging = owned
        waiting = 0
        held = self._held()
        for partition in owned:
            try:
                end, position = self._consumer.highwater(partition), self._positions.at(partition)
            except KafkaError as error:  # revoked meanwhile: a gauge must not end the worker
                log.debug("lag_unknown", partition=partition.partition, error=str(error)[:200])
                continue
            if end is None or position is None:
                continue
            metrics.LAG.labels(partition.topic, partition.partition).set(max(0, end - position))
            if partition not in held:
                waiting += max(0, end - position)
        self._progress.measured(partitions=len(owned), waiting=waiting)
        if self._progress.idle() > _PROBE_SECONDS and not self._kafka_answers(owned):
            self._progress.excused()

    def _kafka_answers(self, owned: frozenset[TopicPartition]) -> bool:
        """Whether it is Kafka that keeps us waiting: while it is away a restart of this process would not help."""
        try:
            self._consumer.end_offsets(list(owned)[:1], timeout_ms=1_000)
        except KafkaError:
            return False
        return True


def _make_consumer(kafka: KafkaSettings, settings: StreamSettings, ownership: Ownership) -> Any:
    consumer = KafkaConsumer(
        **kafka.client(),
        client_id=f"colour-worker-{settings.instance}",
        group_id=settings.group,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        partition_assignment_strategy=[EvenByTopicAssignor(ownership.partitions)],
        session_timeout_ms=int(settings.session_timeout * 1000),
        heartbeat_interval_ms=int(settings.session_timeout * 1000 / 3),
        max_poll_records=settings.max_batch,
        max_partition_fetch_bytes=settings.max_record_bytes,
        fetch_max_bytes=max(settings.max_record_bytes, 16 << 20),
        metadata_max_age_ms=30_000,
        metrics_enabled=False,  # its own, which nobody reads: our own are in worker.observe
    )
    membership.notice_losses(consumer)
    return consumer
