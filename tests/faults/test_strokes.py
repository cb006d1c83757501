"""Faults that must strike at the right moment; ``make faults`` has more of them, and for longer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from rich.console import Console

from deploy.local.kafka import KafkaServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.faults.campaign import faults, rounds
from tests.faults.campaign.faults import Fault
from tests.faults.campaign.field import Field, Servers
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.worker_process import WorkerProcess

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("inflict", [faults.kill_mid_transaction, faults.kill_mid_rebalance, faults.redis_garbage])
def test_every_event_has_one_right_answer_in_order(
    inflict: Callable[[Field, Random], None],
    kafka: KafkaServer,
    redis: RedisServer,
    standin: TritonServer,
    tmp_path: Path,
) -> None:
    servers = Servers(kafka, redis, standin)
    fault = Fault(inflict.__name__, inflict)
    result = rounds.single(servers, tmp_path, fault, events=1_000, rate=150, chance=Random(1), console=Console())
    assert (result.lost, result.duplicated, result.disordered, result.wrong, result.died) == (0, 0, 0, 0, 0)


def test_waiting_for_a_neighbour_costs_no_cpu(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Callable[..., Workers]
) -> None:
    workers = make_workers(kafka, redis, standin)
    worker = workers.start()
    standin.kill()
    events.publish(kafka.bootstrap, workers.deployment.created, events.many(100))
    worker.wait_for("neighbour_away")
    assert _cpu_share(worker) < 0.3
    kafka.kill()
    time.sleep(3)
    assert _cpu_share(worker) < 0.3


def _cpu_share(worker: WorkerProcess) -> float:
    """Of one core, over some seconds."""
    began, used = time.monotonic(), worker.cpu_seconds()
    time.sleep(5)
    return (worker.cpu_seconds() - used) / (time.monotonic() - began)
