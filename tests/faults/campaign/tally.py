"""Counts the answers as they become visible to a ``read_committed`` reader, on a thread of its own."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from tests.support.worker_process import Deployment


class Tally(threading.Thread):
    """Reads outputs and dead letters of one deployment until it is stopped.

    The topics must exist. What is read is kept in ``counts`` (answers by listing id), ``colours`` (by listing id),
    ``disordered`` (outputs that stand behind one with a larger source offset of the same partition), ``dead`` and
    ``arrivals`` (monotonic seconds of each poll that brought something).
    """

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(name="tally", daemon=True)
        self._deployment = deployment
        self._stopping = threading.Event()
        self._last_offset: dict[tuple[int, int], int] = {}
        self.counts: Counter[str] = Counter()
        self.colours: dict[str, str] = {}
        self.disordered = 0
        self.dead = 0
        self.arrivals: list[float] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._read()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.error = error

    @property
    def answered(self) -> int:
        """Listings with at least one answer."""
        return len(self.counts)

    def wait_for(self, answered: int, timeout: float) -> bool:
        """Whether so many listings were answered within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self.answered < answered:
            if self.error is not None:
                raise self.error
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def stop(self) -> None:
        self._stopping.set()
        self.join(20)

    def _read(self) -> None:
        consumer = make_consumer(self._deployment, "read_committed")
        try:
            while not self._stopping.is_set():
                try:
                    polled = consumer.poll(200)
                except KafkaError:  # the broker is away, as it should be
                    time.sleep(0.2)
                    continue
                for partition, records in polled.items():
                    for record in records:
                        self._take(partition, record)
                if polled:
                    self.arrivals.append(time.monotonic())
        finally:
            consumer.close()

    def _take(self, partition: TopicPartition, record: Any) -> None:
        if partition.topic == self._deployment.dead:
            self.counts[record.key.decode()] += 1
            self.dead += 1
            return
        answer = json.loads(record.value)
        self.counts[answer["listing_id"]] += 1
        self.colours[answer["listing_id"]] = answer["colour"]
        stream = (partition.partition, answer["source"]["partition"])
        offset = answer["source"]["offset"]
        self.disordered += offset <= self._last_offset.get(stream, -1)
        self._last_offset[stream] = offset


def make_consumer(deployment: Deployment, isolation: str) -> Any:
    """A consumer of both output topics, from their beginning, in no group."""
    consumer = KafkaConsumer(
        bootstrap_servers=deployment.bootstrap,
        isolation_level=isolation,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        group_id=None,
        reconnect_backoff_max_ms=500,
    )
    consumer.assign(
        [
            TopicPartition(topic, number)
            for topic in (deployment.coloured, deployment.dead)
            for number in consumer.partitions_for_topic(topic) or ()
        ]
    )
    return consumer


def written(deployment: Deployment, isolation: str) -> int:
    """How many records a reader of this isolation level finds in both topics now."""
    consumer = make_consumer(deployment, isolation)
    try:
        ends = consumer.end_offsets(list(consumer.assignment()))
        count = 0
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            count += sum(len(records) for records in consumer.poll(200).values())
        return count
    finally:
        consumer.close()


def open_transaction(deployment: Deployment) -> bool:
    """Whether a transaction with records in the output topics stays open for as long as we look, 0.3 s.

    Seen by the last stable offset, which stands still below the end of the partition.
    """
    committed, uncommitted = (make_consumer(deployment, f"read_{kind}") for kind in ("committed", "uncommitted"))
    try:
        partitions = list(committed.assignment())
        ends = uncommitted.end_offsets(partitions)
        before = committed.end_offsets(partitions)
        time.sleep(0.3)
        after = committed.end_offsets(partitions)
        return any(before[partition] == after[partition] < ends[partition] for partition in partitions)
    finally:
        committed.close()
        uncommitted.close()
