"""Fixtures that tests with a worker share; a folder's ``conftest.py`` imports what it uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import LocalStack
from deploy.local.kafka import KafkaServer
from deploy.local.photos import PhotoServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support.reading import Reader
from tests.support.worker_process import Deployment, WorkerProcess

STANDIN = Path(__file__).parents[1] / "standin"

Deploy = Callable[..., Deployment]


class Workers:
    """The worker processes of one test."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.started: list[WorkerProcess] = []

    def start(self, *, ready: bool = True) -> WorkerProcess:
        """Start one more, and wait until it is ready."""
        worker = self.deployment.worker()
        self.started.append(worker)
        if ready:
            worker.wait_ready()
        return worker

    def reader(self) -> Reader:
        """A downstream consumer; the topics must exist, so start a worker first."""
        return Reader(self.deployment.bootstrap, self.deployment.coloured, self.deployment.dead)


@pytest.fixture
def standin(stack: LocalStack) -> Iterator[TritonServer]:
    """A Triton that serves ``tests/standin``: answers without CPU. Started once a session, and again when killed."""
    server = _STANDINS.get(stack.directory)
    if server is None:
        server = _STANDINS[stack.directory] = TritonServer(stack.directory / "standin", repository=STANDIN)
        stack.servers.append(server)  # the session stops it with the others
    server.start()
    yield server
    if server.running:
        server.resume()


_STANDINS: dict[Path, TritonServer] = {}


@pytest.fixture
def make_workers(tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    """Deploys workers against given servers; every process is gone when the test ends."""
    made: list[Workers] = []

    def make(*servers: KafkaServer | RedisServer | TritonServer | PhotoServer, **overrides: str) -> Workers:
        addresses = {name: value for server in servers for name, value in server.settings().items()}
        made.append(Workers(Deployment(addresses, tmp_path, overrides)))
        return made[-1]

    yield make
    for workers in made:
        for worker in workers.started:
            worker.kill()


@pytest.fixture
def deployment(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Callable[..., Workers]
) -> Deployment:
    """Topics of this test's own; no worker."""
    made: Deployment = make_workers(kafka, redis, standin).deployment
    kafka.create_topics([made.created, made.coloured, made.dead])
    return made
