"""A plain kafka-python loop: one event after the other, offsets committed by themselves, as in its documentation."""

from __future__ import annotations

import json

from kafka import KafkaConsumer, KafkaProducer

from tests.benchmarks.peers.job import Job, place


def main() -> None:
    """Run until killed."""
    consumer = KafkaConsumer(
        place("SOURCE"),
        bootstrap_servers=place("KAFKA"),
        group_id=place("GROUP"),
        auto_offset_reset="earliest",
        value_deserializer=json.loads,
    )
    producer = KafkaProducer(bootstrap_servers=place("KAFKA"))
    job = Job()
    for message in consumer:
        producer.send(place("TARGET"), key=message.key, value=job(message.value))


if __name__ == "__main__":
    main()
