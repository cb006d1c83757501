"""Records a second by kafka-python alone: consume, answer each, commit what is answered, at least once."""

from __future__ import annotations

import json
import random
import sys
import time
import uuid
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

from tests.benchmarks.arithmetic import Sample, steady_rate

_ANSWERS = 512


def rate(bootstrap: str, source: str, target: str, count: int) -> float:
    """Records a second, over the same part of the run as the worker's.

    While the answers to one poll are under way the next one is asked for: nothing waits that need not.
    """
    consumer = KafkaConsumer(
        source,
        bootstrap_servers=bootstrap,
        group_id=f"alone-{uuid.uuid4().hex[:8]}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=500,
        metrics_enabled=False,
    )
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=5,
        metrics_enabled=False,
    )
    answers = [_answer(number) for number in range(_ANSWERS)]
    samples: list[Sample] = []
    under_way: list[Any] = []
    offsets: dict[TopicPartition, OffsetAndMetadata] = {}
    done = 0
    while done < count:
        polled = consumer.poll(timeout_ms=500) if done + len(under_way) < count else {}
        sent = [
            producer.send(target, key=record.key, value=answers[record.offset % _ANSWERS])
            for records in polled.values()
            for record in records
        ]
        for future in under_way:
            future.get(timeout=30)
        if under_way:
            consumer.commit_async(offsets)
            done += len(under_way)
            samples.append((time.monotonic(), done))
        under_way = sent
        offsets = {place: OffsetAndMetadata(records[-1].offset + 1, "", -1) for place, records in polled.items()}
    consumer.close()
    producer.close()
    return steady_rate(samples)


def _answer(number: int) -> bytes:
    """As long as one of ours, and as hard to compress."""
    chance = random.Random(number)
    shares = [{"colour": chance.choice(("red", "blue", "beige")), "probability": chance.random()} for _ in range(3)]
    names = {part: f"1@{chance.randbytes(6).hex()}" for part in ("image", "text", "head")}
    answer = {
        "schema": "listing.coloured.v1", "event_id": chance.randbytes(16).hex(), "listing_id": str(number),
        "decision": "labelled", "colour": "red", "colour_ru": "красный", "confidence": chance.random(), "top": shares,
        "images_used": 1, "text_used": True, "release": names, "run": "live",
        "source": {"topic": "listings.created", "partition": 1, "offset": number},
        "labelled_at": "2026-01-31T12:00:00.000000Z",
    }  # fmt: skip
    return json.dumps(answer).encode()


if __name__ == "__main__":
    bootstrap, source, target, count = sys.argv[1:]
    sys.stdout.write(json.dumps({"records_per_second": rate(bootstrap, source, target, int(count))}) + "\n")
