"""What may wait stands behind what may not: backfills and shadows at Triton, a replay's process beside a worker's."""

from __future__ import annotations

import os
import re
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from deploy.local.kafka import KafkaServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support import release_copies as copies
from tests.support.fixtures import Workers
from tests.support.replaying import Replay
from worker.models.background import BackgroundTriton
from worker.models.control import Control
from worker.settings import TritonSettings

Make = Callable[..., Workers]
_ROWS = 8


@pytest.fixture
async def server(tmp_path: Path, triton_installed: None) -> AsyncIterator[TritonServer]:
    """A Triton that nobody else asks."""
    triton = TritonServer(tmp_path / "triton", repository=copies.copy(tmp_path / "models").folder)
    triton.start()
    yield triton
    triton.stop()


async def largest_batch(server: TritonServer, model: str) -> int:
    """The most rows that one execution of a model had."""
    async with Control(TritonSettings(url=server.grpc)) as control:
        found = await control._client.get_inference_statistics(model)
    return max(int(one.batch_size) for version in found.model_stats for one in version.batch_stats)


async def test_an_encoder_is_given_few_rows_at_once_and_the_answers_keep_their_order(server: TritonServer) -> None:
    middles = np.random.default_rng(3).integers(0, 256, (101, 3)).astype(np.uint8)
    pixels = np.broadcast_to(middles[:, None, None, :], (101, 16, 16, 3)).copy()
    async with BackgroundTriton(TritonSettings(url=server.grpc, priority=2, background_rows=_ROWS)) as triton:
        found = await triton.embed_images("1", pixels)
        texts = await triton.embed_texts("1", [f"шапка {number}" for number in range(50)])
        answers = await triton.probabilities("1", found, np.zeros_like(found))
    np.testing.assert_allclose(found, copies.embeddings("1", middles), atol=1e-5)
    assert texts.shape == (50, 4)
    np.testing.assert_allclose(answers, copies.probabilities("1", found, "1"), atol=1e-4)
    assert await largest_batch(server, "colour_image") <= _ROWS
    assert await largest_batch(server, "colour_text") <= _ROWS
    # The head is quick, and large batches are what a warm replay lives on.
    assert await largest_batch(server, "colour_head") == 101


def test_a_replay_steps_aside_and_can_be_watched_where_a_worker_has_the_usual_port(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    deployment = make_workers(kafka, redis, standin).deployment
    kafka.create_topics([deployment.created, deployment.coloured, deployment.dead])
    events.publish(kafka.bootstrap, deployment.created, events.many(40))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        replay = Replay(deployment, "--from", "0", "--rate", "2", env={"COLOUR_OBSERVE__PORT": port})
        try:
            deadline = time.monotonic() + 60
            while not (found := re.search(r'"address": "(http://[^"]+)"', replay.notes)):
                assert replay.process.poll() is None, replay.notes
                assert time.monotonic() < deadline, replay.notes
                time.sleep(0.1)
            assert not found[1].startswith(f"http://127.0.0.1:{port}/")
            while 'colour_outcomes_total{outcome="labelled"} 0.0' in (text := read(found[1])):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert 'colour_outcomes_total{outcome="labelled"}' in text
            assert '"ok": true' in read(found[1].replace("/metrics", "/healthz"))
            assert '"ok": true' in read(found[1].replace("/metrics", "/readyz"))
            assert niceness(replay.process.pid) == max(19, niceness(os.getpid()))
        finally:
            replay.kill()


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as response:
        body: bytes = response.read()
    return body.decode()


def niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)
