"""Transactions that a crashed Kafka left without some of their markers: found, ended, and in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import ConsumerGroupMetadata, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaTimeoutError
from prometheus_client import REGISTRY

from deploy.local.kafka import KafkaServer
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.markers import hang, unverified
from tests.support.reading import Reader
from tests.support.replaying import records
from tests.support.waiting import wait_for
from tests.support.worker_process import Deployment
from worker.observe.progress import Progress
from worker.settings import KafkaSettings, StreamSettings
from worker.stream import transactional_ids
from worker.stream.mending import Mender, Watch
from worker.stream.producer import Producer, transactional_producer
from worker.stream.topics import Topics


class Ground:
    """One group, the topic its workers write to, and the workers themselves where a test needs no more of them."""

    def __init__(self, bootstrap: str, group: str, written: str, read: str) -> None:
        self.bootstrap = bootstrap
        self.kafka = KafkaSettings(bootstrap_servers=bootstrap)
        self.stream = StreamSettings(group=group, instance="heir")
        self.written = written
        self.read = TopicPartition(read, 0)
        self.mender = Mender(self.kafka, self.stream, Topics(read, written, (), written))
        self._open: list[Any] = []

    def producer(self, name: str) -> Any:
        made = transactional_producer(self.kafka, self.stream, name)
        self._open.append(made)
        made.init_transactions()
        return made

    def hang(self, name: str) -> None:
        """Leave a transaction that hangs, and its producer alone."""
        with unverified(self.bootstrap):
            offsets = {self.read: OffsetAndMetadata(5, "", -1)}
            hang(self.producer(name), self.written, name.encode(), group=self.stream.group, offsets=offsets)

    def command(self, *arguments: str, code: int = 0) -> str:
        """What ``colour-worker hanging`` prints."""
        settings = {
            "COLOUR_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap,
            "COLOUR_STREAM__GROUP": self.stream.group,
            "COLOUR_STREAM__RETRY_DELAYS": "[]",
            "COLOUR_TOPICS__COLOURED": self.written,
            "COLOUR_TOPICS__DEAD": self.written,
        }
        program = str(Path(sys.executable).with_name("colour-worker"))
        ended = subprocess.run(
            [program, "hanging", *arguments],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert ended.returncode == code, ended.stderr
        return ended.stdout

    def visible(self) -> list[bytes]:
        """The keys that a ``read_committed`` reader gets at present."""
        consumer = self._consumer(None)
        try:
            partitions = [TopicPartition(self.written, number) for number in (0, 1)]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)  # those of the isolation level
            consumer.seek_to_beginning(*partitions)
            keys: list[bytes] = []
            deadline = time.monotonic() + 60
            while any(consumer.position(partition) < end for partition, end in ends.items()):
                assert time.monotonic() < deadline
                keys += [record.key for batch in consumer.poll(200).values() for record in batch]
        finally:
            consumer.close()
        return sorted(keys)

    def committed(self, patience: float) -> int | None:
        """The group's offset, as a consumer is told it.

        Raises:
            KafkaTimeoutError: it is not told within ``patience`` seconds.
        """
        consumer = self._consumer(self.stream.group)
        try:
            offset: int | None = consumer.committed(self.read, timeout_ms=int(patience * 1000))
        finally:
            consumer.close()
        return offset

    def _consumer(self, group: str | None) -> Any:
        return KafkaConsumer(
            bootstrap_servers=self.bootstrap,
            group_id=group,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

    def close(self) -> None:
        for producer in self._open:
            producer.close(timeout=1)


@pytest.fixture
def ground(kafka: KafkaServer, unique: str, make_topic: Callable[..., str]) -> Iterator[Ground]:
    made = Ground(kafka.bootstrap, unique, make_topic("coloured", partitions=2), make_topic("created", partitions=1))
    yield made
    made.close()


def test_what_a_dead_worker_left_is_committed_as_its_coordinator_meant_it(ground: Ground) -> None:
    ground.hang("dead")
    assert ground.visible() == [b"dead"]  # of two
    with pytest.raises(KafkaTimeoutError):
        ground.committed(patience=1)
    assert ground.mender.mend() == []
    assert ground.visible() == [b"dead", b"dead"]
    assert ground.committed(patience=30) == 5
    assert ground.mender.mend() == []


def test_what_a_worker_left_is_ended_before_its_next_transaction_could_drag_it_along(ground: Ground) -> None:
    ground.hang("heir")
    producer = Producer(ground.kafka, ground.stream, ground.mender)
    producer.open(threading.Event())
    try:
        assert ground.visible() == [b"heir", b"heir"]
        assert ground.committed(patience=30) == 5
    finally:
        producer.close()


def test_what_was_committed_right_before_a_crash_does_not_end_with_the_transaction_behind_it(ground: Ground) -> None:
    producer = Producer(ground.kafka, ground.stream, ground.mender)
    producer.open(threading.Event())
    try:
        with unverified(ground.bootstrap):
            offsets = {ground.read: OffsetAndMetadata(5, "", -1)}
            hang(producer._producer, ground.written, b"told", group=ground.stream.group, offsets=offsets)
        producer._producer.begin_transaction()
        producer._producer.send(ground.written, key=b"under way", value=b"{}", partition=0).get(timeout=20)
        producer._lost.set()
        producer.recover(threading.Event())
        assert ground.visible() == [b"told", b"told"]
        assert ground.committed(patience=30) == 5
    finally:
        producer.close()


def test_a_worker_that_was_back_before_anybody_looked_had_committed(ground: Ground) -> None:
    ground.hang("quick")
    ground.producer("quick")
    assert ground.mender.mend() == []
    assert ground.visible() == [b"quick", b"quick"]


def test_what_nobody_remembers_is_left_and_told(ground: Ground) -> None:
    ground.hang("restless")
    ground.producer("restless")
    ground.producer("restless")
    progress = Progress(60)
    watch = Watch(ground.mender, 0.1, progress)
    watch.start()
    try:
        wait_for(lambda: "hang" in progress.alive(neighbour_away=False).reason, "the watch tells it")
        verdict = progress.alive(neighbour_away=False)
    finally:
        watch.stop()
        watch.join(30)
    assert verdict.ok  # another process would find the same
    assert f"{ground.written}/1" in verdict.reason
    assert "__consumer_offsets/" in verdict.reason
    assert REGISTRY.get_sample_value("colour_transactions_hanging") == 2
    left = ground.mender.mend()
    name = transactional_ids.join(ground.stream.group, "restless")
    assert {one.name for one in left} == {name}
    assert {one.committed for one in left} == {None}
    assert ground.visible() == [b"restless"]
    listed = ground.command("list", code=1).splitlines()
    assert {tuple(line.split("\t")[2:]) for line in listed} == {(name, "unknown")}
    ground.command("end", name, code=1)
    ground.command("end", name, "--as", "aborted")
    assert ground.command("list") == "nothing hangs\n"
    assert ground.visible() == [b"restless"]
    assert ground.committed(patience=30) is None


def stranger_of(ground: Ground) -> Any:
    """A producer that is none of ours, whatever its id begins with."""
    return KafkaProducer(bootstrap_servers=ground.bootstrap, transactional_id=f"{ground.stream.group}-stranger")


def neighbour_of(ground: Ground) -> Any:
    """Writes for a group whose name begins with the whole name of this one."""
    neighbour = StreamSettings(group=f"{ground.stream.group}-b")
    return transactional_producer(ground.kafka, neighbour, "redrive")


@pytest.mark.parametrize("make", [stranger_of, neighbour_of])
def test_what_is_under_way_or_of_others_is_left_alone(ground: Ground, make: Callable[[Ground], Any]) -> None:
    with unverified(ground.bootstrap):
        stranger = make(ground)
        stranger.init_transactions()
        hang(stranger, ground.written, b"stranger", group=ground.stream.group, offsets={})
    stranger.close(timeout=1)
    busy = ground.producer("busy")
    busy.begin_transaction()
    busy.send(ground.written, key=b"busy", value=b"{}", partition=0).get(timeout=20)
    assert ground.mender.mend() == []
    assert ground.visible() == [b"stranger"]
    busy.commit_transaction()
    assert ground.visible() == [b"busy", b"stranger"]


def test_an_offset_that_a_transaction_holds_keeps_one_partition_from_being_read_and_no_other(
    deployment: Deployment, make_worker: Callable[[], Any]
) -> None:
    holder = KafkaProducer(
        bootstrap_servers=deployment.bootstrap,
        transactional_id=f"holder-{deployment.name}",
        transaction_timeout_ms=600_000,
    )
    holder.init_transactions()
    holder.begin_transaction()
    held = TopicPartition(deployment.created, 0)
    holder.send_offsets_to_transaction({held: OffsetAndMetadata(0, "", -1)}, ConsumerGroupMetadata(deployment.name))
    worker = make_worker()
    with Reader(deployment.bootstrap, deployment.coloured, deployment.dead) as reader:
        keys = events.publish(deployment.bootstrap, deployment.created, events.many(40))
        where = {record.key.decode(): record.partition for record in records(deployment.bootstrap, deployment.created)}
        free = {key for key in keys if where[key] != 0}
        assert free != set(keys)
        assert reader.all_of(free).counts.keys() == free
        wait_for(lambda: worker.metric("colour_partitions_without_offset") == 1, "a partition is held back")
        assert worker.healthy()
        holder.abort_transaction()
        assert not reader.all_of(keys).duplicates
    wait_for(lambda: worker.metric("colour_partitions_without_offset") == 0, "it is read again")
    holder.close(timeout=1)


@pytest.fixture
def make_worker(deployment: Deployment) -> Iterator[Callable[[], Any]]:
    made = Workers(deployment)
    yield made.start
    for worker in made.started:
        worker.kill()
