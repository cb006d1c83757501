"""Real faults on real servers: nothing is lost, nothing comes twice."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.reading import Reader
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess

pytestmark = pytest.mark.faults


class Stage:
    """Workers under traffic, and a downstream reader.

    Parameters:
        workers: none of them started; the first one is, here.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._keys: list[str] = []
        self.worker = workers.start()
        self.reader: Reader = workers.reader()

    def publish(self, count: int, *, photos: int = 24) -> None:
        """So many new listings, over so many different photos."""
        deployment = self._workers.deployment
        self._keys += events.publish(deployment.bootstrap, deployment.created, events.many(count, colours=photos))

    def join(self) -> WorkerProcess:
        """Another worker, which is not waited for."""
        return self._workers.start(ready=False)

    def reach(self, count: int = 100) -> None:
        """Return in the midst of the work, when so many are answered."""
        self.reader.until(lambda answers: len(answers.coloured) >= count, timeout=120)

    def assert_exactly_once(self) -> None:
        """Each listing gets one output, and there is nothing else."""
        answers = self.reader.all_of(self._keys, timeout=150)
        assert set(self._keys) - answers.counts.keys() == set()
        assert answers.duplicates == {}
        assert answers.dead == []


@pytest.fixture
def stage(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Callable[..., Workers]
) -> Iterator[Stage]:
    """One worker on Kafka, Redis and Triton, and no traffic yet."""
    made = Stage(make_workers(kafka, redis, standin))
    with made.reader:
        yield made


def test_a_killed_worker_loses_and_doubles_nothing(stage: Stage) -> None:
    stage.publish(3000)
    worker = stage.worker
    for done in (300, 1200):
        stage.reach(done)
        worker.kill()
        worker = stage.join()
    stage.assert_exactly_once()


def test_killed_photo_processes_lose_and_double_nothing_and_their_worker_stays(stage: Stage) -> None:
    stage.publish(1500, photos=700)
    for done in (100, 300):
        stage.reach(done)
        for pid in stage.worker.photo_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        stage.worker.wait_for("photo_process_died")
    stage.assert_exactly_once()
    assert stage.worker.running
    assert stage.worker.metric("colour_rewinds_total") == 0


def test_photo_processes_do_not_outlive_a_killed_worker(stage: Stage) -> None:
    stage.publish(500)
    stage.reach()
    pids = stage.worker.photo_pids()
    assert pids
    stage.worker.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "they are gone", 20)


def test_workers_that_join_and_leave_share_the_work_without_overlap(stage: Stage) -> None:
    stage.publish(4000)
    stage.reach()
    stage.join()
    third = stage.join()
    stage.reach(1000)
    stage.worker.terminate()
    stage.reach(2000)
    third.kill()
    stage.assert_exactly_once()


def test_a_worker_that_wakes_as_a_zombie_is_fenced(stage: Stage) -> None:
    stage.publish(3000)
    stage.reach()
    stage.worker.pause()
    stage.join()
    stage.reach(1500)
    stage.worker.resume()
    stage.assert_exactly_once()
    stage.worker.wait_ready()


def test_triton_away_for_longer_than_the_session_costs_time_no_event_and_no_place_in_the_group(
    stage: Stage, standin: TritonServer
) -> None:
    stage.publish(2000)
    stage.reach()
    standin.kill()
    stage.publish(100)  # a fast worker may have answered all the others
    stage.worker.wait_for("neighbour_away")
    time.sleep(8)  # the session timeout is 6 s
    assert stage.worker.healthy()
    standin.start()
    stage.assert_exactly_once()
    assert stage.worker.running
    said = stage.worker.log.read_text()
    assert '"event": "partitions_lost"' not in said
    assert '"event": "partitions_revoked"' not in said


def test_redis_killed_and_back_costs_no_event(stage: Stage, redis: RedisServer) -> None:
    stage.publish(2000)
    stage.reach()
    redis.kill()
    stage.publish(100)
    stage.worker.wait_for("cache_away")
    redis.start()
    stage.assert_exactly_once()


def test_a_stalled_redis_slows_nobody_down_for_long(stage: Stage, redis: RedisServer) -> None:
    redis.pause()
    stage.publish(1000)
    stage.assert_exactly_once()
    stage.worker.wait_for("cache_away")


def test_kafka_killed_and_back_loses_and_doubles_nothing(stage: Stage, kafka: KafkaServer) -> None:
    stage.publish(3000)
    stage.reach()
    kafka.kill()
    kafka.start()
    stage.assert_exactly_once()
    assert stage.worker.running
