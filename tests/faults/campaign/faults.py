"""The faults: each really happens to a real process, and is over when its function returns."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from redis import Redis

from deploy.local.server import Server
from tests.faults.campaign.field import Field
from tests.faults.campaign.tally import open_transaction
from tests.support.worker_process import WorkerProcess


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and how it is called in the table."""

    name: str
    inflict: Callable[[Field, Random], None]


def kill_mid_batch(field: Field, chance: Random) -> None:
    """``kill -9`` of a worker that has batches in computation."""
    field.remove(_busy(field, chance))
    field.add(ready=False)


def photo_process_killed(field: Field, chance: Random) -> None:
    """``kill -9`` of a process that loads photos for a worker that has batches in computation."""
    os.kill(chance.choice(_busy(field, chance).photo_pids()), signal.SIGKILL)


def kill_mid_transaction(field: Field, chance: Random) -> None:
    """``kill -9`` of a worker that has written records of a transaction and not ended it.

    It is frozen at random moments until that is so; then it never wakes up.
    """
    end = time.monotonic() + 30
    while True:
        worker = _busy(field, chance)
        time.sleep(chance.uniform(0, 0.05))
        worker.pause()
        if open_transaction(field.deployment) or time.monotonic() > end:
            break
        worker.resume()
    field.remove(worker)
    field.add(ready=False)


def kill_mid_rebalance(field: Field, chance: Random) -> None:
    """``kill -9`` of the old or of the new worker in the moment when partitions change hands."""
    old = field.ready()
    before = {worker: _count(worker, "partitions_revoked") for worker in old}
    new = field.add(ready=False)
    _until(lambda: any(_count(worker, "partitions_revoked") > before[worker] for worker in old))
    field.remove(chance.choice([new, *old]))


def join_and_leave(field: Field, chance: Random) -> None:
    """Two workers join, to four; then one leaves by SIGTERM and one by ``kill -9``."""
    for _ in range(2):
        field.add(ready=False)
    time.sleep(chance.uniform(2, 5))
    field.remove(chance.choice(field.ready()), lambda worker: worker.terminate(timeout=60))
    field.remove(chance.choice(field.workers))


def zombie(field: Field, chance: Random) -> None:
    """SIGSTOP for longer than the session timeout (6 s): its partitions go to others; then it wakes up."""
    worker = _busy(field, chance)
    worker.pause()
    time.sleep(chance.uniform(8, 12))
    worker.resume()


def kafka_killed(field: Field, chance: Random) -> None:
    """``kill -9`` of the broker, some seconds without, and a start on the same data."""
    field.wait_ready()
    _outage(field.servers.kafka, chance.uniform(0, 3))


def kafka_gone(field: Field, chance: Random) -> None:
    """``kill -9`` of the broker, and longer without than a producer keeps a record (20 s)."""
    field.wait_ready()
    _outage(field.servers.kafka, chance.uniform(21, 26))


def kafka_restarted(field: Field, chance: Random) -> None:
    """An orderly restart of the broker."""
    field.wait_ready()
    field.servers.kafka.restart()


def triton_killed(field: Field, chance: Random) -> None:
    """``kill -9`` of Triton, some seconds without, and a start."""
    _outage(field.servers.triton, chance.uniform(1, 5))


def redis_killed(field: Field, chance: Random) -> None:
    """``kill -9`` of Redis: it comes back empty."""
    _outage(field.servers.redis, chance.uniform(0, 3))


def redis_stalled(field: Field, chance: Random) -> None:
    """SIGSTOP of Redis: connections stay open, and nothing answers."""
    field.servers.redis.pause()
    time.sleep(chance.uniform(4, 8))
    field.servers.redis.resume()


def redis_garbage(field: Field, chance: Random) -> None:
    """Cached values are replaced by something else, one after the other, for four seconds."""
    with Redis.from_url(field.servers.redis.url) as client:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            for key in client.scan_iter("colour:*", count=500):
                _spoil(client, key, chance)
                if time.monotonic() > end:
                    break
            time.sleep(0.05)


FAULTS = tuple(
    Fault(function.__name__, function)
    for function in (
        kill_mid_batch,
        photo_process_killed,
        kill_mid_transaction,
        kill_mid_rebalance,
        join_and_leave,
        zombie,
        kafka_killed,
        kafka_gone,
        kafka_restarted,
        triton_killed,
        redis_killed,
        redis_stalled,
        redis_garbage,
    )
)


def _outage(server: Server, seconds: float) -> None:
    server.kill()
    time.sleep(seconds)
    server.start()


def _spoil(client: Redis, key: bytes, chance: Random) -> None:
    value = client.get(key) if client.type(key) == b"string" else None
    sound = value if isinstance(value, bytes) and value else b"\0" * 20
    match chance.randrange(6):
        case 0:
            client.set(key, b"")
        case 1:
            client.set(key, sound[: len(sound) // 2])
        case 2:  # its header is right, its payload is not
            client.set(key, sound[:-1] + bytes([sound[-1] ^ 0xFF]))
        case 3:
            client.set(key, chance.randbytes(len(sound)))
        case 4:
            client.set(key, chance.randbytes(1 << 16))
        case _:
            client.delete(key)
            client.rpush(key, "a list, where a string should be")


def _busy(field: Field, chance: Random) -> WorkerProcess:
    """A worker that has batches in computation at this moment; any that is ready, if none has for a while."""
    found: list[WorkerProcess] = []

    def look() -> bool:
        found[:] = [worker for worker in field.ready() if worker.metric("colour_batches_in_flight") > 0]
        return bool(found)

    _until(look)
    return chance.choice(found or field.ready())


def _count(worker: WorkerProcess, event: str) -> int:
    lines = worker.log.read_text(errors="replace").splitlines()
    return sum(f'"event": "{event}"' in line and bool(json.loads(line).get("partitions")) for line in lines)


def _until(condition: Callable[[], bool], timeout: float = 20) -> None:
    """Wait for the moment to strike; when it does not come, strike all the same."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (OSError, LookupError):  # the worker does not answer yet
            pass
        time.sleep(0.02)
