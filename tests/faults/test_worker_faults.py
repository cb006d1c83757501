"""Real faults on real servers: nothing is lost, nothing comes twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from deploy.local.kafka import KafkaServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.reading import Answers, Reader

pytestmark = pytest.mark.faults
Make = Callable[..., Workers]


def assert_exactly_once(answers: Answers, keys: Sequence[str]) -> None:
    """Each key has one output, and there is nothing else."""
    assert set(keys) - answers.counts.keys() == set()
    assert answers.duplicates == {}
    assert answers.dead == []


def started(reader: Reader, count: int = 100) -> None:
    """Wait until the worker is in the middle of its work."""
    reader.until(lambda answers: len(answers.coloured) >= count)


def test_a_killed_worker_loses_and_doubles_nothing(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    worker = workers.start()
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, events.many(3000))
        for done in (300, 1200):
            started(reader, done)
            worker.kill()
            worker = workers.start(ready=False)
        assert_exactly_once(reader.all_of(keys, timeout=90), keys)


def test_workers_that_join_and_leave_share_the_work_without_overlap(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    first = workers.start()
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, events.many(4000))
        started(reader)
        workers.start(ready=False)
        third = workers.start(ready=False)
        started(reader, 1000)
        first.terminate()
        started(reader, 2000)
        third.kill()
        assert_exactly_once(reader.all_of(keys, timeout=120), keys)


def test_a_worker_that_wakes_as_a_zombie_is_fenced(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    zombie = workers.start()
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, events.many(3000))
        started(reader)
        zombie.pause()
        workers.start(ready=False)
        started(reader, 1500)
        zombie.resume()
        assert_exactly_once(reader.all_of(keys, timeout=120), keys)
        zombie.wait_ready()


def test_triton_killed_and_back_costs_time_and_no_event(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    worker = workers.start()
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, events.many(2000))
        started(reader)
        standin.kill()
        worker.wait_for("neighbour_away")
        assert worker.healthy()
        standin.start()
        assert_exactly_once(reader.all_of(keys, timeout=90), keys)
    assert worker.running


def test_redis_killed_and_back_costs_no_event(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    worker = workers.start()
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, events.many(2000))
        started(reader)
        redis.kill()
        worker.wait_for("cache_away")
        redis.start()
        assert_exactly_once(reader.all_of(keys, timeout=90), keys)


def test_a_stalled_redis_slows_nobody_down_for_long(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    worker = workers.start()
    redis.pause()
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, events.many(1000))
        assert_exactly_once(reader.all_of(keys, timeout=90), keys)
    worker.wait_for("cache_away")


def test_kafka_killed_and_back_loses_and_doubles_nothing(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    worker = workers.start()
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, events.many(3000))
        started(reader)
        kafka.kill()
        kafka.start()
        assert_exactly_once(reader.all_of(keys, timeout=150), keys)
    assert worker.running
