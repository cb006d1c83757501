"""A consumer stays in its group over rebalances, and gets all records over pauses, on a real Kafka."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewPartitions
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import MemberState

from deploy.local.kafka import KafkaServer
from tests.support.waiting import wait_for
from worker.stream import membership
from worker.stream.ownership import Ownership

SESSION = 3.0


@pytest.fixture
def consumer(kafka: KafkaServer, unique: str) -> Iterator[Any]:
    """In a group of its own, quick to see new partitions."""
    made = KafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        group_id=unique,
        enable_auto_commit=False,
        session_timeout_ms=int(SESSION * 1000),
        heartbeat_interval_ms=int(SESSION * 1000 / 3),
        metadata_max_age_ms=300,
        partition_assignment_strategy=[CooperativeStickyAssignor],
    )
    yield made
    made.close(autocommit=False)


@pytest.mark.parametrize(
    "rhythm",
    [
        pytest.param((0.001, 0.02), id="brief-polls"),
        pytest.param((0.0, 0.2), id="a-full-queue"),  # every join ends between two polls
    ],
)
def test_polls_shorter_than_a_rebalance_finish_it_all_the_same(
    kafka: KafkaServer, consumer: Any, unique: str, make_topic: Callable[..., str], rhythm: tuple[float, float]
) -> None:
    timeout, pause = rhythm
    topic = make_topic(partitions=2)
    consumer.subscribe([topic])

    def turn() -> None:
        membership.poll(consumer, timeout, 10)
        time.sleep(pause)

    def turn_until(partitions: int, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while len(consumer.assignment()) < partitions or consumer.group_metadata().state != MemberState.STABLE:
            assert time.monotonic() < deadline, (consumer.assignment(), consumer.group_metadata())
            turn()

    turn_until(2)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        admin.create_partitions({topic: NewPartitions(4)})
        turn_until(4)
        until = time.monotonic() + 2 * SESSION
        while time.monotonic() < until:
            turn()
        assert len(admin.describe_groups([unique])[unique]["members"]) == 1
    finally:
        admin.close()


def test_records_that_were_fetched_before_a_pause_come_after_it(
    kafka: KafkaServer, consumer: Any, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(partitions=2)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    for number in range(40):
        producer.send(topic, value=b"{}", partition=number % 2)
    producer.flush(30)
    producer.close()
    consumer.assign([TopicPartition(topic, 0), TopicPartition(topic, 1)])
    consumer.seek_to_beginning()
    found: Counter[TopicPartition] = Counter()

    def read_until(number: int, most: int) -> None:
        deadline = time.monotonic() + 60
        while found.total() < number:
            assert time.monotonic() < deadline, found
            for partition, records in membership.poll(consumer, 0.1, most).items():
                found[partition] += len(records)

    read_until(1, most=5)
    [(begun, taken)] = found.items()
    consumer.pause(begun)
    read_until(taken + 20, most=100)
    consumer.resume(begun)
    read_until(40, most=100)
    assert set(found.values()) == {20}


def test_a_poll_returns_what_waits_and_not_only_what_came_before(
    kafka: KafkaServer, unique: str, make_topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "_ANSWER_SECONDS", 10.0)  # however busy the machine is
    topic = make_topic(partitions=2)
    consumer = KafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        group_id=unique,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20_000,  # no answer without a record
    )
    consumer.assign([TopicPartition(topic, 0), TopicPartition(topic, 1)])
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)

    def asked() -> bool:
        membership.poll(consumer, 0.01, 10)
        return bool(consumer._fetcher.in_flight_fetches())

    def leave_one_behind(name: bytes) -> None:
        """A record that comes between two polls, to a question of the first; and another one behind it."""
        wait_for(asked, "Kafka is asked for records")
        producer.send(topic, name, partition=0).get(timeout=10)
        wait_for(lambda: bool(consumer._fetcher._completed_fetches), "the answer has come")
        producer.send(topic, name + b", later", partition=1).get(timeout=10)

    def values(polled: dict[TopicPartition, list[Any]]) -> list[bytes]:
        return sorted(record.value for records in polled.values() for record in records)

    leave_one_behind(b"one")
    assert values(membership.poll(consumer, 10, 10)) == [b"one"]
    assert values(membership.poll(consumer, 10, 10)) == [b"one, later"]
    leave_one_behind(b"two")
    assert values(membership.poll_all(consumer, 10, 10, lease=lambda _: 1)) == [b"two", b"two, later"]
    leave_one_behind(b"three")
    numbers = itertools.count()
    assert values(membership.poll_all(consumer, 10, 10, lease=lambda _: next(numbers))) == [b"three, later"]
    producer.close()
    consumer.close(autocommit=False)


def test_a_loss_in_the_midst_of_a_join_is_told(
    kafka: KafkaServer, consumer: Any, unique: str, make_topic: Callable[..., str]
) -> None:
    """The broker refuses a join with UNKNOWN_MEMBER_ID, to which kafka-python forgets who it was, and joins again."""
    ownership = Ownership()
    membership.notice_losses(consumer)
    topic = make_topic(partitions=2)
    consumer.subscribe([topic], listener=ownership)
    mine = {TopicPartition(topic, 0), TopicPartition(topic, 1)}
    deadline = time.monotonic() + 60

    def poll_until(condition: Callable[[], bool]) -> None:
        while not condition():
            membership.poll(consumer, 0.05, 10)
            assert time.monotonic() < deadline

    poll_until(lambda: ownership.partitions() == mine)
    before = {partition: ownership.lease(partition) for partition in mine}
    coordinator = consumer._coordinator
    coordinator.rejoining = True  # a join is under way
    coordinator.reset_generation()
    poll_until(lambda: consumer.group_metadata().state == MemberState.STABLE and ownership.partitions() == mine)
    assert all(ownership.lease(partition) != before[partition] for partition in mine)


def test_a_partition_that_was_taken_away_is_no_bug_of_ours(
    kafka: KafkaServer, consumer: Any, make_topic: Callable[..., str]
) -> None:
    """kafka-python raises ValueError, which would end the worker."""
    partition = TopicPartition(make_topic(partitions=1), 0)
    with pytest.raises(membership.PartitionLost):
        membership.seek(consumer, partition, 3)
    with pytest.raises(membership.PartitionLost):
        membership.go_back(consumer, partition, 10)
