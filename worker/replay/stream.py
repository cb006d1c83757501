"""The live loop with an end: the same queue, leases and transactions, over frozen ranges."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError

from worker.errors import ConfigurationError
from worker.observe.progress import Progress
from worker.replay.books import Books
from worker.replay.pace import Rate
from worker.replay.plan import Plan
from worker.replay.previous import PreviousAnswers
from worker.replay.tally import Tally
from worker.settings import Settings
from worker.stream import membership
from worker.stream.batching import BatchSize
from worker.stream.computation import Computation
from worker.stream.consumer import Stream
from worker.stream.inflight import Batch, Item
from worker.stream.topics import Topics
from worker.stream.transactions import Publishing
from worker.tagger import Outcome

log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.1


class BoundedStream(Stream):
    """Consumes the ranges of a plan until told to stop; partitions whose end is reached are paused.

    A partition is finished when the consumer's POSITION is at the end or beyond it, never after a number of records:
    behind the last record of a range there may be transaction markers, aborted records and gaps of compaction. Then the
    end itself is committed, so that all processes, and a later resume, know that nothing is left.

    Parameters:
        plan: what is read.
        previous: the last answers, for the selection.
        books: tallies; read from and written with the committed offsets.
        rate: how fast.
        size: records in a batch.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        plan: Plan,
        topics: Topics,
        computation: Computation,
        publisher: Publishing,
        previous: PreviousAnswers | None,
        books: Books,
        rate: Rate,
        size: BatchSize,
    ) -> None:
        super().__init__(
            settings.kafka,
            settings.stream,
            topics=topics,
            computation=computation,
            publisher=publisher,
            progress=Progress(settings.stream.stall_timeout),
            notes=books.notes,
        )
        self._ends = plan.ends
        self._selection = plan.selection
        self._previous = previous
        self._books = books
        self._rate = rate
        self._size = size
        self._begun: dict[TopicPartition, int] = {}
        self._finished: set[TopicPartition] = set()
        self._next: dict[TopicPartition, int] = {}

    def _turn(self) -> None:
        self._recover()
        self._begin_new()
        room = self._in_flight.has_room() and not self._computation.waits
        allowance = self._rate.allowance(self._size.update()) if room else 0
        reading = allowance > 0
        self._steer(reading=reading)
        timeout = _POLL_SECONDS if reading else 0.0
        polled = membership.poll(self._consumer, timeout, max(1, allowance))
        self._rate.spend(sum(map(len, polled.values())))
        self._take(polled)
        if room and not reading:
            time.sleep(_POLL_SECONDS / 2)  # for the rate's sake
        elif not reading:
            self._in_flight.wait_for_room(_POLL_SECONDS)

    def _held(self) -> frozenset[TopicPartition]:
        """Finished partitions, and those of the topic that are not part of the plan, new ones for example."""
        return frozenset(
            partition
            for partition in self._ownership.partitions()
            if partition not in self._ends or partition in self._finished
        )

    def _begin_new(self) -> None:
        """Start partitions that were assigned since the last turn, at an offset and a tally of one and the same commit.

        The offset that the consumer took up by itself would do as well, but its metadata is not handed out.
        """
        for partition in self._ownership.partitions():
            lease = self._ownership.lease(partition)
            if lease is None or partition not in self._ends or self._begun.get(partition) == lease:
                continue
            try:
                self._begin(partition)
            except KafkaError as error:  # Kafka is away, or the partition was revoked meanwhile
                log.warning("begin_failed", error=f"{type(error).__name__}: {error}"[:300])
                return
            self._begun[partition] = lease

    def _go_back(self) -> bool:
        """All partitions or none: a tally belongs to its offset."""
        try:
            for partition in self._ownership.partitions():
                self._begin(partition)
        except KafkaError as error:
            # Kafka is away, or the partition was revoked meanwhile. The poll takes part in the rebalance.
            log.warning("rewind_failed", error=f"{type(error).__name__}: {error}"[:300])
            membership.poll(self._consumer, _POLL_SECONDS, 1)
            return False
        return True

    def _begin(self, partition: TopicPartition) -> None:
        if partition not in self._ends:
            return
        committed = membership.committed(self._consumer, partition, 5.0)
        if committed is None:
            raise ConfigurationError(f"{partition.topic}/{partition.partition}: the replay's committed offset is gone")
        self._books.open(partition, Tally.decode(committed.metadata))
        self._finished.discard(partition)
        if committed.offset >= self._ends[partition]:
            self._finished.add(partition)
        self._next[partition] = committed.offset
        membership.seek(self._consumer, partition, committed.offset)

    def _take(self, polled: dict[TopicPartition, list[Any]]) -> None:
        items: list[Item] = []
        leases: dict[TopicPartition, int] = {}
        reached: dict[TopicPartition, int] = {}
        for partition, end in self._ends.items():
            lease = self._ownership.lease(partition)
            if lease is None or self._begun.get(partition) != lease or partition in self._finished:
                continue  # not ours, or not begun: it is read again from its committed offset
            # Whatever moves the consumer's position back, a late answer about committed offsets for example: under one
            # lease no record is taken twice.
            records = [record for record in polled.get(partition, ()) if self._next[partition] <= record.offset < end]
            if records:
                reached[partition] = self._next[partition] = records[-1].offset + 1
                chosen = self._chosen(partition, records)
                items += chosen
                self._books.skip(partition, reached[partition], len(records) - len(chosen))
            position = self._positions.at(partition)
            if position is not None and position >= end:
                reached[partition] = end
                self._finished.add(partition)
            if partition in reached:
                leases[partition] = lease
        if not reached:
            return
        size = sum(len(item.envelope.value or b"") + len(item.envelope.key or b"") for item in items)
        outcomes = self._computation.submit([item.envelope.value for item in items]) if items else _nothing()
        self._in_flight.add(Batch(items, leases, size, outcomes, reached))

    def _chosen(self, partition: TopicPartition, records: list[Any]) -> list[Item]:
        chosen = []
        for record in records:
            envelope = self._selection.open(record)
            if envelope is not None and self._selection.wants(envelope, self._previous):
                chosen.append(Item(partition, record.offset, envelope))
        return chosen


def _nothing() -> Future[list[Outcome]]:
    done: Future[list[Outcome]] = Future()
    done.set_result([])
    return done
