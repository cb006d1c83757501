"""Real servers for the tests: one stack a session, topics and consumer groups of its own for each test.

A server is installed and started when the first test asks for it. A test may kill or pause it: the next test that asks
finds it running again. A server that cannot be installed here skips the test with a sentence, and fails it where ``CI``
is set; a server that is installed and does not start fails it everywhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from deploy.local import InstallFailed, LocalStack, MissingDependency
from deploy.local.identity import ProcessIdentity
from deploy.local.kafka import KafkaServer
from deploy.local.photos import PhotoServer
from deploy.local.redis import RedisServer
from deploy.local.server import Server
from deploy.local.steps import INSTALLED
from deploy.local.triton import TritonServer

SESSIONS = INSTALLED / "tests"

S = TypeVar("S", bound=Server)

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    """The session's servers, none of them started; ``kafka``, ``redis``, ``triton`` and ``photos`` start theirs.

    After a session with failures the folder stays, with the servers' logs, until the next session begins.
    """
    _stop_left_overs()
    directory = SESSIONS / str(os.getpid())
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "owner.json").write_text(json.dumps(asdict(ProcessIdentity.own())))
    result = LocalStack(directory)
    yield result
    result.stop()
    if request.session.testsfailed == 0:
        shutil.rmtree(directory)


@pytest.fixture
def kafka(stack: LocalStack) -> Iterator[KafkaServer]:
    """A running Kafka."""
    yield from _running(stack.kafka)


@pytest.fixture
def redis(stack: LocalStack) -> Iterator[RedisServer]:
    """A running Redis. Keys of earlier tests may be in it."""
    yield from _running(stack.redis)


@pytest.fixture
def triton(stack: LocalStack) -> Iterator[TritonServer]:
    """A running Triton that serves the repository's own ``triton_models``; a test that changes files starts its own."""
    yield from _running(stack.triton)


@pytest.fixture
def photos(stack: LocalStack) -> Iterator[PhotoServer]:
    """A running photo host; what a test writes into ``photos.folder`` is served at ``photos.url``."""
    yield from _running(stack.photos)


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A name that no other test has, for topics, consumer groups and transactional ids."""
    return f"{re.sub(r'[^a-zA-Z0-9]+', '-', request.node.name)[:60]}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def make_topic(kafka: KafkaServer, unique: str) -> Callable[..., str]:
    """Make a topic of this test alone: ``make_topic("created", partitions=4)`` gives its full name."""

    def make(name: str = "topic", *, partitions: int = 4) -> str:
        topic = f"{unique}.{name}"
        kafka.create_topics([topic], partitions=partitions)
        return topic

    return make


@pytest.fixture(scope="session")
def triton_installed() -> None:
    """Triton is installed: for tests that start one of their own."""
    require(TritonServer(SESSIONS / "not-started"))


@pytest.fixture
def tiny_models(tmp_path: Path) -> Path:
    """A model repository that holds one model, ``double``: FP32 ``x`` -> FP32 ``y`` = 2 x."""
    version = tmp_path / "models" / "double" / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(
        'name: "double"\nbackend: "python"\nmax_batch_size: 8\ndynamic_batching {}\n'
        'input [{ name: "x" data_type: TYPE_FP32 dims: [-1] }]\n'
        'output [{ name: "y" data_type: TYPE_FP32 dims: [-1] }]\n'
    )
    (version / "model.py").write_text(
        "import triton_python_backend_utils as pb\n\n\n"
        "class TritonPythonModel:\n"
        "    def execute(self, requests):\n"
        '        inputs = [pb.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]\n'
        '        return [pb.InferenceResponse([pb.Tensor("y", 2 * x)]) for x in inputs]\n'
    )
    return version.parent.parent


def require(server: Server) -> None:
    """Install a server; where that is not possible, fail in CI and skip elsewhere."""
    try:
        server.install()
    except (MissingDependency, InstallFailed) as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


def _running(server: S) -> Iterator[S]:
    require(server)
    server.start()
    yield server
    if server.running:
        server.resume()


def _stop_left_overs() -> None:
    """Stop the servers of sessions that were cut off before they could do it themselves, and remove their folders."""
    for owner in SESSIONS.glob("*/owner.json"):
        if not ProcessIdentity(**json.loads(owner.read_text())).alive:
            LocalStack(owner.parent).stop()
            shutil.rmtree(owner.parent)
