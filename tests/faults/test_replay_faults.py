"""Real faults under a replay: every event of the range is answered exactly once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from deploy.local.kafka import KafkaServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.replaying import Replay, answers, outcomes, replay
from tests.support.worker_process import Deployment

pytestmark = pytest.mark.faults
Make = Callable[..., Workers]


def wait_for_answers(deployment: Deployment, run: str, number: int, process: Replay) -> None:
    deadline = time.monotonic() + 100
    while len(answers(deployment, run)) < number:
        assert time.monotonic() < deadline, process.notes
        time.sleep(0.2)


def assert_exactly_once(deployment: Deployment, run: str, keys: list[str], output: str) -> None:
    """One output for each event, and the summary counts them all, over every process that took part."""
    # The open transaction of a process that was killed hides what others wrote behind it until Kafka aborts it.
    deadline = time.monotonic() + 100
    while len(found := answers(deployment, run)) < len(keys) and time.monotonic() < deadline:
        time.sleep(1)
    assert Counter(answer["listing_id"] for answer in found) == Counter(keys)
    counts = outcomes(output)
    assert counts["labelled"] + counts["uncertain"] == len(keys) == sum(counts.values())


def test_killed_twice_and_resumed_it_answers_and_counts_every_event_once(
    deployment: Deployment, kafka: KafkaServer
) -> None:
    keys = events.publish(kafka.bootstrap, deployment.created, events.many(3000))
    first = Replay(deployment, "--from", "0", "--id", "killed", "--rate", "400")
    try:
        wait_for_answers(deployment, "replay/killed", 300, first)
    finally:
        first.kill()
    second = Replay(deployment, "--id", "killed", "--rate", "400")
    try:
        wait_for_answers(deployment, "replay/killed", 1200, second)
    finally:
        second.kill()
    assert_exactly_once(deployment, "replay/killed", keys, replay(deployment, "--id", "killed"))


def test_two_processes_share_one_and_a_third_goes_on_when_one_is_killed(
    deployment: Deployment, kafka: KafkaServer
) -> None:
    keys = events.publish(kafka.bootstrap, deployment.created, events.many(3000))
    options = ["--from", "0", "--id", "shared", "--rate", "200"]
    processes = [Replay(deployment, *options) for _ in range(3)]  # at once: one of them writes the plan
    try:
        wait_for_answers(deployment, "replay/shared", 600, processes[0])
        processes[0].kill()
        outputs = [process.wait(150) for process in processes[1:]]
    finally:
        for process in processes:
            process.kill()
    for output in outputs:
        assert_exactly_once(deployment, "replay/shared", keys, output)


def test_triton_and_kafka_killed_and_back_cost_time_and_no_event(
    deployment: Deployment, kafka: KafkaServer, standin: TritonServer
) -> None:
    keys = events.publish(kafka.bootstrap, deployment.created, events.many(3000))
    process = Replay(deployment, "--from", "0", "--id", "faults", "--rate", "300")
    try:
        wait_for_answers(deployment, "replay/faults", 200, process)
        standin.kill()
        standin.start()
        wait_for_answers(deployment, "replay/faults", 900, process)
        kafka.kill()
        kafka.start()
        output = process.wait(150)
    finally:
        process.kill()
    assert_exactly_once(deployment, "replay/faults", keys, output)
