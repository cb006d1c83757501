"""Peers: the worker over the best of three others that do the same job one event at a time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from deploy.local.steps import REPOSITORY
from tests.benchmarks import environment, events, models
from tests.benchmarks.arithmetic import at_least, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.fleet import watch
from tests.benchmarks.report import Row

PEERS = {
    "kafka-python, plain loop": "tests.benchmarks.peers.plain",
    "Quix Streams": "tests.benchmarks.peers.quix",
    "FastStream (aiokafka)": "tests.benchmarks.peers.faststream_app",
}
_PARTITIONS = 4
_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class _Course:
    """How many events each side gets: enough for some seconds."""

    name: str
    warm: bool
    peer: int
    worker: int
    factor: float


_COURSES = (_Course("cold", False, 350, 1_200, 5), _Course("warm", True, 1_500, 20_000, 10))


def measure(field: Field) -> list[Row]:
    """Cold and warm, each with photos and texts that nobody has asked for before.

    All four in turns, and the better round of each counts: what else the machine does only takes away.
    """
    python = environment.python()
    return [_row(field, course, python) for course in _COURSES]


def _row(field: Field, course: _Course, python: str) -> Row:
    rates = dict.fromkeys(PEERS, 0.0)
    ours = 0.0
    for _ in range(_ROUNDS):
        for name, module in PEERS.items():
            found = _peer(field, module, _listings(field, course.peer, course), python)
            rates[name] = max(rates[name], found)
        ours = max(ours, _worker(field, _listings(field, course.worker, course)))
    best = max(rates.values())
    return Row(
        f"peers, {course.name}",
        ours / best,
        at_least(course.factor),
        parts={"worker, events/s": ours, **{f"{name}, events/s": rate for name, rate in rates.items()}},
        note="one process each, the stand-in model (waits, computes nothing), the same Redis and photos; the peers "
        "write without transactions, the worker exactly once; the better of two rounds each, in turns",
    )


def _listings(field: Field, count: int, course: _Course) -> list[dict[str, Any]]:
    listings = by_address(field.photos_url, field.photo_names, count)
    if course.warm:
        events.warm(field.stack.redis.url, models.release(field.standin.repository), listings)
    return listings


def _worker(field: Field, listings: Sequence[dict[str, Any]]) -> float:
    with field.fleet(field.standin, partitions=_PARTITIONS) as fleet:
        count = fleet.publish(listings)
        fleet.start()
        return steady_rate(fleet.watch(count))


def _peer(field: Field, module: str, listings: Sequence[dict[str, Any]], python: str) -> float:
    release = models.release(field.standin.repository)
    with field.fleet(field.standin, partitions=_PARTITIONS) as fleet:
        deployment = fleet.deployment
        count = fleet.publish(listings)
        places = {
            "KAFKA": deployment.bootstrap, "REDIS": field.stack.redis.url, "TRITON": field.standin.grpc,
            "SOURCE": deployment.created, "TARGET": deployment.coloured, "GROUP": f"{deployment.name}.peer",
            "IMAGE_FINGERPRINT": release.image.fingerprint, "TEXT_FINGERPRINT": release.text.fingerprint,
            "IMAGE_WIDTH": str(release.image.width), "TEXT_WIDTH": str(release.text.width),
            "SIDE": str(release.image.side), "LABELS": ",".join(release.head.labels),
        }  # fmt: skip
        log = deployment.folder / f"{module.rpartition('.')[2]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [python, "-m", module],
                cwd=REPOSITORY,
                env={**os.environ, **{f"PEER_{name}": value for name, value in places.items()}},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            samples = watch(_Outputs(deployment.bootstrap, deployment.coloured), count, timeout=120)
        except TimeoutError as error:
            raise TimeoutError(f"{module}: {error}; its log ends:\n{log.read_text()[-1500:]}") from None
        finally:
            process.kill()
            process.wait(10)
    return steady_rate(samples)


class _Outputs:
    """How many outputs a topic holds: its end offsets, where nobody writes transactions."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
        self._partitions = [TopicPartition(topic, number) for number in range(_PARTITIONS)]

    def __call__(self) -> int:
        ends: dict[TopicPartition, int] = self._consumer.end_offsets(self._partitions)
        return sum(ends.values())
