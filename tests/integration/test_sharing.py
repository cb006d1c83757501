"""Workers of one group share the work, not only the partitions."""

from __future__ import annotations

import time
from collections.abc import Callable

from deploy.local.kafka import KafkaServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import Workers

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
