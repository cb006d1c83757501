"""Workers of one group share the work, not only the partitions."""

from __future__ import annotations

import time
from collections.abc import Callable

from deploy.local.kafka import KafkaServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess

Make = Callable[..., Workers]


def test_two_workers_both_read_new_listings(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    both = [workers.start(), workers.start()]
    deadline = time.monotonic() + 30
    with workers.reader() as reader:
        while not all(worker.metric("colour_outcomes_total") > 0 for worker in both):
            assert time.monotonic() < deadline, [worker.metric("colour_outcomes_total") for worker in both]
            reader.all_of(events.publish(kafka.bootstrap, workers.deployment.created, events.many(40)))
        assert reader.answers.duplicates == {}


def lagging(worker: WorkerProcess, topic: str) -> set[str]:
    """The partitions whose lag a worker shows."""
    return {labels["partition"] for labels in worker.series("colour_lag") if labels["topic"] == topic}


def test_a_partition_that_moves_takes_its_lag_along(
    kafka: KafkaServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, standin, COLOUR_REDIS__URL="")
    created, every = workers.deployment.created, {"0", "1", "2", "3"}
    first = workers.start()
    wait_for(lambda: lagging(first, created) == every, "one worker shows all")
    second = workers.start()
    wait_for(lambda: len(lagging(first, created)) == len(lagging(second, created)) == 2, "each shows its own")
    assert lagging(first, created) | lagging(second, created) == every
    second.kill()
    wait_for(lambda: lagging(first, created) == every, "one worker shows all again")
