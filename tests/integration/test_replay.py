"""Which records ``colour-worker replay`` reads, to their end, on a real Kafka, Redis and Triton (stand-in models)."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewPartitions

from deploy.local.kafka import KafkaServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.replaying import Replay, answers, outcomes, places, records, replay, send
from tests.support.worker_process import Deployment

Make = Callable[..., Workers]


def test_a_range_of_offsets_is_answered_once_and_names_the_replay(deployment: Deployment) -> None:
    for partition in (0, 1):
        send(deployment, events.many(20), partition=partition)
    output = replay(deployment, "--from", "0:5,1:0", "--to", "0:12,1:3", "--id", "some")
    assert places(answers(deployment, "replay/some")) == [(0, n) for n in range(5, 12)] + [(1, n) for n in range(3)]
    assert sum(outcomes(output).values()) == 10


def test_a_range_of_times_takes_what_was_written_from_then_and_before(deployment: Deployment) -> None:
    for hour in range(4):
        send(deployment, events.many(3), at=datetime(2026, 1, 31, hour, tzinfo=UTC))
    replay(deployment, "--from", "2026-01-31T01:00:00Z", "--to", "2026-01-31T03:00:00Z", "--id", "times")
    assert places(answers(deployment, "replay/times")) == [(0, n) for n in range(3, 9)]


def test_an_empty_range_ends_at_once(deployment: Deployment) -> None:
    send(deployment, events.many(3))
    output = replay(deployment, "--from", "1h", "--to", "2026-01-01T00:00:00Z", "--id", "empty")
    assert sum(outcomes(output).values()) == 0


def test_an_empty_topic_ends_at_once(deployment: Deployment) -> None:
    assert sum(outcomes(replay(deployment, "--from", "0")).values()) == 0


def test_the_end_is_frozen_also_over_a_resume_and_live_work_is_untouched(
    deployment: Deployment, kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    live = workers.deployment
    workers.start()
    with workers.reader() as reader:
        first = events.publish(kafka.bootstrap, live.created, events.many(400))
        reader.all_of(first)
        slow = Replay(live, "--from", "0", "--id", "frozen", "--rate", "20")
        try:
            deadline = time.monotonic() + 100
            while not answers(live, "replay/frozen"):
                assert time.monotonic() < deadline, slow.notes
            later = events.publish(kafka.bootstrap, live.created, events.many(200))
            slow.process.terminate()
            slow.wait(code=75)
        finally:
            slow.kill()
        output = replay(live, "--id", "frozen")
        reader.until(lambda found: set(later) <= found.counts.keys())
    found = answers(live, "replay/frozen")
    assert Counter(answer["listing_id"] for answer in found) == Counter(first)
    assert outcomes(output)["labelled"] + outcomes(output)["uncertain"] == 400
    assert Counter(answer["listing_id"] for answer in answers(live, "live")) == Counter([*first, *later])


def test_transaction_markers_and_aborted_records_at_the_end_do_not_keep_it_waiting(deployment: Deployment) -> None:
    producer = KafkaProducer(bootstrap_servers=deployment.bootstrap, transactional_id=uuid.uuid4().hex)
    producer.init_transactions()
    for number, commit in enumerate((True, False, False)):
        producer.begin_transaction()
        for event in events.many(4):
            value = json.dumps(event).encode()
            producer.send(deployment.created, key=event["listing_id"].encode(), value=value, partition=number % 2)
        producer.flush()
        (producer.commit_transaction if commit else producer.abort_transaction)()
    producer.close()
    output = replay(deployment, "--from", "0", "--id", "markers", timeout=60)
    assert places(answers(deployment, "replay/markers")) == [(0, n) for n in range(4)]
    assert sum(outcomes(output).values()) == 4


def test_an_open_transaction_at_the_start_is_beyond_the_end(deployment: Deployment) -> None:
    send(deployment, events.many(3))
    producer = KafkaProducer(bootstrap_servers=deployment.bootstrap, transactional_id=uuid.uuid4().hex)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(deployment.created, key=b"open", value=b"{}", partition=0).get(10)
    replay(deployment, "--from", "0", "--id", "open", timeout=60)
    assert places(answers(deployment, "replay/open")) == [(0, n) for n in range(3)]
    producer.abort_transaction()
    producer.close()


def test_a_compacted_topic_with_gaps_is_read_to_its_end(deployment: Deployment, kafka: KafkaServer) -> None:
    topic = f"{deployment.name}.compacted"
    kafka.create_topics(
        [topic], partitions=1,
        configs={
            "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01",
            "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "100",
        },
    )  # fmt: skip
    listings = events.many(5)
    for _ in range(6):
        events.publish(kafka.bootstrap, topic, listings)
        time.sleep(0.2)
    deadline = time.monotonic() + 100
    while len(left := records(kafka.bootstrap, topic)) >= 30:
        assert time.monotonic() < deadline, "the broker did not compact"
        time.sleep(1)
        events.publish(kafka.bootstrap, topic, listings[:1])  # only closed segments are compacted
    output = replay(deployment, "--from", "0", "--topic", topic, "--id", "compact", timeout=60)
    found = answers(deployment, "replay/compact")
    assert sum(outcomes(output).values()) == len(found) <= len(left) + 1
    assert {answer["listing_id"] for answer in found} == {event["listing_id"] for event in listings}


def test_partitions_added_meanwhile_are_not_part_of_it(deployment: Deployment, kafka: KafkaServer) -> None:
    send(deployment, events.many(120))
    slow = Replay(deployment, "--from", "0", "--id", "added", "--rate", "40")
    try:
        deadline = time.monotonic() + 100
        while not answers(deployment, "replay/added"):
            assert time.monotonic() < deadline, slow.notes
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        admin.create_partitions({deployment.created: NewPartitions(6)})
        admin.close()
        time.sleep(1)
        send(deployment, events.many(5), partition=5)
        slow.kill()
        replay(deployment, "--id", "added")
    finally:
        slow.kill()
    assert places(answers(deployment, "replay/added")) == [(0, n) for n in range(120)]


def test_an_id_is_one_replay_other_options_are_refused(deployment: Deployment) -> None:
    send(deployment, events.many(3))
    for _ in range(2):
        output = replay(deployment, "--from", "0", "--id", "one")
        assert outcomes(output)["labelled"] + outcomes(output)["uncertain"] == 3
    replay(deployment, "--from", "1", "--id", "one", code=2)
    replay(deployment, "--id", "another", code=2)
    assert len(answers(deployment, "replay/one")) == 3
