"""``python -m tests.benchmarks.marketplace``: a marketplace that publishes evenly and reads the colours.

It runs in the benchmarks' own environment, on librdkafka. A real marketplace works on machines of its own; this one
shares the cores with what it times, so it must cost as little as it can.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

_DESCRIBED_WITHIN = 20.0
"""Seconds for Kafka to say what partitions a topic has, and where one ends."""


class Reader(threading.Thread):
    """Notes when each output could be read, by a ``read_committed`` reader of the whole topic, from its present end.

    Parameters:
        missing: keys; the thread ends when all of them were read, or at ``deadline`` (monotonic).
    """

    def __init__(self, bootstrap: str, topic: str, missing: set[str]) -> None:
        super().__init__(daemon=True)
        self.arrived: dict[str, float] = {}
        self.deadline = float("inf")
        self._missing = missing
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"marketplace-{uuid.uuid4().hex[:8]}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "socket.nagle.disable": True,
            }
        )
        found = self._consumer.list_topics(topic, timeout=_DESCRIBED_WITHIN).topics[topic].partitions
        partitions = [TopicPartition(topic, number) for number in found]
        # Offsets, not "the end": that would be looked up at the first fetch, and an output before it would be missed.
        for partition in partitions:
            _, partition.offset = self._consumer.get_watermark_offsets(partition, timeout=_DESCRIBED_WITHIN)
        self._consumer.assign(partitions)

    def run(self) -> None:
        """Read."""
        while self._missing and time.monotonic() < self.deadline:
            message = self._consumer.poll(0.1)
            now = time.monotonic()
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            key = message.key().decode()
            self.arrived.setdefault(key, now)
            self._missing.discard(key)
        self._consumer.close()


def trade(bootstrap: str, created: str, coloured: str, events: list[tuple[str, str]], rate: float) -> list[float]:
    """Seconds from an event's publication until its output can be read, in the events' order.

    Parameters:
        events: key and value of each.
        rate: of publishing, events a second.

    Raises:
        TimeoutError: an output was not there a minute after the last event.
    """
    reader = Reader(bootstrap, coloured, {key for key, _ in events})
    reader.start()
    # Kafka's own partitioner, as kafka-python has it; librdkafka's is another.
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 0,
            "partitioner": "murmur2_random",
            "socket.nagle.disable": True,
        }
    )
    sent: dict[str, float] = {}
    begun = time.monotonic()
    for number, (key, value) in enumerate(events):
        producer.poll(0)  # hands over what was delivered
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        sent[key] = time.monotonic()
        producer.produce(created, key=key.encode(), value=value.encode())
    if producer.flush(30):
        raise TimeoutError("events were not published within 30 s")
    reader.deadline = time.monotonic() + 60
    reader.join()
    if lost := len(sent) - len(reader.arrived.keys() & sent.keys()):
        raise TimeoutError(f"{lost} of {len(sent)} outputs were not readable within a minute")
    return [reader.arrived[key] - at for key, at in sent.items()]


def main() -> None:
    """Print a JSON object, ``{"seconds": [...]}``, for the events that a JSON file holds."""
    bootstrap, created, coloured, rate, path = sys.argv[1:]
    events = [(key, value) for key, value in json.loads(Path(path).read_text(encoding="utf-8"))]
    sys.stdout.write(json.dumps({"seconds": trade(bootstrap, created, coloured, events, float(rate))}) + "\n")


if __name__ == "__main__":
    main()
