"""Records a second by kafka-python alone: consume, produce one answer for each, commit offsets after each poll."""

from __future__ import annotations

import json
import sys
import time
import uuid

from kafka import KafkaConsumer, KafkaProducer

_ANSWER = 720
"""Bytes of one of our answers as it leaves the worker."""


def rate(bootstrap: str, source: str, target: str, count: int) -> float:
    """Records a second over all but the first tenth."""
    group = f"alone-{uuid.uuid4().hex[:8]}"
    consumer = KafkaConsumer(
        source,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=500,
    )
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, compression_type="lz4", linger_ms=5
    )
    done, begun, counted_from = 0, 0.0, 0
    answer = (b'{"schema":"listing.coloured.v1","note":"%s"}' % (b"colour tagger " * 60))[:_ANSWER]
    while done < count:
        polled = consumer.poll(timeout_ms=500)
        records = [record for batch in polled.values() for record in batch]
        for record in records:
            producer.send(target, key=record.key, value=answer)
        if records:
            producer.flush()
            consumer.commit()
        done += len(records)
        if not begun and done >= count / 10:
            begun, counted_from = time.perf_counter(), done
    seconds = time.perf_counter() - begun
    consumer.close()
    producer.close()
    return (done - counted_from) / seconds


if __name__ == "__main__":
    bootstrap, source, target, count = sys.argv[1:]
    sys.stdout.write(json.dumps({"records_per_second": rate(bootstrap, source, target, int(count))}) + "\n")
