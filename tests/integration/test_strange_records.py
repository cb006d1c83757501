"""Records that Kafka takes and kafka-python does not write: none of them stops a worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.protocol.producer import ProduceRequest
from kafka.record.memory_records import MemoryRecordsBuilder

from deploy.local.kafka import KafkaServer
from deploy.local.photos import PhotoServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.latin1 import Latin1
from tests.support.waiting import wait_for

Make = Callable[..., Workers]

MICROSECONDS = 1_769_860_800_000_000
"""Of 2026-01-31; as milliseconds, of the year 58054."""


def write(bootstrap: str, topic: str, *, key: str, value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    """Write one record as other clients may: ``KafkaProducer.send`` refuses a header without a value."""
    records = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=len(value) + 1000)
    assert records.append(MICROSECONDS, key.encode(), value, headers)
    records.close()
    data = ProduceRequest.TopicProduceData
    partition = data.PartitionProduceData(index=0, records=records.buffer())
    request = ProduceRequest(
        transactional_id=None,
        acks=-1,
        timeout_ms=20_000,
        topic_data=[data(name=topic, partition_data=[partition])],
        max_version=9,  # later ones name topics by their ids
    )
    admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap)

    async def send() -> Any:
        leaders = await admin._async_get_leader_for_partitions([TopicPartition(topic, 0)])
        return await admin._manager.send(request, node_id=next(iter(leaders)))

    try:
        response = admin._manager.run(send)
    finally:
        admin.close()
    assert [part.error_code for answer in response.responses for part in answer.partition_responses] == [0]


def test_headers_without_values_and_timestamps_beyond_the_calendar_are_answered_like_others(
    kafka: KafkaServer, standin: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, standin, photos, COLOUR_REDIS__URL="")
    created = workers.deployment.created
    # Brokers before Kafka 4, and topics that are told to, take a timestamp of any year.
    kafka.create_topics([created], configs={"message.timestamp.after.max.ms": str(2**63 - 1)})
    workers.start()
    gone = json.dumps(events.listing("gone", {"url": f"{photos.url}/gone.jpg"})).encode()
    with workers.reader() as reader:
        for key, value in (("broken", b"{broken"), ("gone", gone)):
            write(kafka.bootstrap, created, key=key, value=value, headers=[("trace", None), ("span", b"7")])
        [behind] = events.publish(kafka.bootstrap, created, events.many(1))
        answers = reader.all_of(["broken", "gone", behind])
    assert answers.duplicates == {}
    assert answers.reasons == {"broken": "malformed_json", "gone": "photo_not_found"}
    for _, _, headers in answers.dead:
        assert (headers["trace"], headers["span"]) == ("", "7")
        assert headers["colour-source-timestamp"].startswith("9999-12-31T23:59:59")


def test_a_header_name_that_is_not_utf_8_stops_nobody(
    kafka: KafkaServer, standin: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, standin, photos, COLOUR_REDIS__URL="")
    created = workers.deployment.created
    kafka.create_topics([created], partitions=1, configs={"message.timestamp.after.max.ms": str(2**63 - 1)})
    workers.start()
    with workers.reader() as reader:
        write(kafka.bootstrap, created, key="broken", value=b"{broken", headers=[(Latin1("cl\xe9"), b"7")])
        [behind] = events.publish(kafka.bootstrap, created, events.many(1))
        answers = reader.all_of(["broken", behind])
    assert answers.duplicates == {}
    [(_, value, headers)] = answers.dead
    assert (value, headers["cl\\xe9"]) == (b"{broken", "7")


def test_an_event_larger_than_what_may_be_written_is_a_dead_letter_instead_of_a_retry(
    kafka: KafkaServer, standin: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, standin, photos, COLOUR_REDIS__URL="", COLOUR_STREAM__MAX_RECORD_BYTES="100000")
    created = workers.deployment.created
    kafka.create_topics([created], partitions=1)  # of others: it takes 16 MiB
    workers.start()
    large = events.listing("large", {"url": f"{photos.url}/gone.jpg"}, padding="x" * 1_500_000)
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, created, [large, *events.many(3)])
        answers = reader.all_of(keys)
    assert answers.duplicates == {}
    [(key, value, headers)] = answers.dead
    assert (key, value, headers["colour-reason"], headers["colour-attempts"]) == ("large", None, "photo_not_found", "1")
    assert int(headers["colour-value-omitted-bytes"]) == len(json.dumps(large))


def test_a_key_larger_than_any_topic_of_ours_takes_does_not_stop_the_records_behind_it(
    kafka: KafkaServer, standin: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, standin, photos, COLOUR_REDIS__URL="", COLOUR_STREAM__MAX_RECORD_BYTES="100000")
    created = workers.deployment.created
    kafka.create_topics([created], partitions=1)  # of others: it takes 16 MiB
    worker = workers.start()
    answerable, *behind = events.many(4)
    with workers.reader() as reader:
        _, *keys = events.publish(
            kafka.bootstrap, created, [("k" * 1_500_000, json.dumps(answerable).encode()), *behind]
        )
        answers = reader.all_of(["", *keys])
    assert answers.duplicates == {}
    [(key, value, headers)] = answers.dead
    assert (key, value, headers["colour-reason"]) == ("", None, "invalid_event")
    assert headers["colour-source-offset"] == "0"
    wait_for(
        lambda: worker.metric("colour_failures_total", outcome="rejected", reason="invalid_event") == 1,
        "the rejection among the metrics",
    )
