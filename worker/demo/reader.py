"""A ``read_committed`` reader of everything that the worker writes."""

from __future__ import annotations

import threading
import time
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition

from worker.demo.ledger import Answer, DeadLetter, Ledger, Place
from worker.events import ListingColoured
from worker.settings import KafkaSettings
from worker.stream.topics import Topics


class Reader(threading.Thread):
    """Reads outputs, dead letters and retries from now on, into a ledger.

    A context manager: entered, it stands at the end of every partition, so nothing that follows is missed.

    Parameters:
        kafka: where Kafka is.
        topics: which topics are read.
        ledger: what is filled.
    """

    def __init__(self, kafka: KafkaSettings, topics: Topics, ledger: Ledger) -> None:
        super().__init__(name="reader", daemon=True)
        self._topics = topics
        self._ledger = ledger
        self._stopping = threading.Event()
        self.failure: Exception | None = None
        # It reads every partition itself and commits nothing, so it belongs to no group.
        self._consumer: Any = KafkaConsumer(
            **kafka.client(),
            client_id="colour-demo-reader",
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
            allow_auto_create_topics=False,
        )

    def run(self) -> None:
        """Read until stopped."""
        try:
            while not self._stopping.is_set():
                for records in self._consumer.poll(timeout_ms=200).values():
                    now = time.time()
                    for record in records:
                        self._take(record, now)
        except Exception as error:  # noqa: BLE001 - whoever waits for answers raises it
            self.failure = error

    def __enter__(self) -> Self:
        names = (self._topics.coloured, self._topics.dead, *self._topics.retries)
        partitions = [
            TopicPartition(name, number) for name in names for number in self._consumer.partitions_for_topic(name)
        ]
        self._consumer.assign(partitions)
        self._consumer.seek_to_end(*partitions)
        for partition in partitions:
            self._consumer.position(partition)  # seeking is lazy: this makes it happen now
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join(5)
        self._consumer.close()

    def _take(self, record: Any, now: float) -> None:
        if record.topic == self._topics.coloured:
            output = ListingColoured.model_validate_json(record.value)
            place = (output.source.partition, output.source.offset)
            self._ledger.answered(Answer(place, now, output))
            return
        headers = {
            name: value.decode("utf-8", "replace") for name, value in record.headers if name.startswith("colour-")
        }
        place = _place(headers)
        if record.topic in self._topics.retries:
            self._ledger.postponed(place)
            return
        letter = DeadLetter(
            reason=headers["colour-reason"],
            message=headers["colour-message"],
            attempts=int(headers["colour-attempts"]),
            value=record.value or b"",
        )
        self._ledger.answered(Answer(place, now, letter))


def _place(headers: dict[str, str]) -> Place:
    return int(headers["colour-source-partition"]), int(headers["colour-source-offset"])
