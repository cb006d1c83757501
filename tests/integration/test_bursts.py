"""Requests that come together at Triton: what finds every instance busy is answered when one is free."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from deploy.local.steps import REPOSITORY
from deploy.local.triton import TritonServer
from worker.models.client import HEAD_MODEL, IMAGE_MODEL, TEXT_MODEL, Triton
from worker.models.repository import Repository
from worker.settings import TritonSettings

_PAIRS, _ROWS = 16, 64


async def test_what_comes_while_the_instance_is_busy_is_answered_though_nothing_comes_after_it(
    standin: TritonServer,
) -> None:
    async with Triton(TritonSettings(url=standin.grpc)) as triton:
        pixels = np.zeros((_ROWS, 16, 16, 3), np.uint8)
        took = []
        for _ in range(_PAIRS):
            first = asyncio.create_task(triton.embed_images("1", pixels))
            await asyncio.sleep(0.004)  # the stand-in waits 8 ms for a full batch
            begun = time.monotonic()
            await triton.embed_images("1", pixels)
            took.append(time.monotonic() - begun)
            await first
    # With the fault it is every second one. Three are let pass: a busy machine may lose half a second, too.
    assert sorted(took)[-4] < 0.4, took


@pytest.mark.parametrize("repository", ["triton_models", "tests/standin"])
@pytest.mark.parametrize("model", [IMAGE_MODEL, TEXT_MODEL, HEAD_MODEL])
def test_no_model_has_what_makes_tritons_batcher_sleep_through_requests(repository: str, model: str) -> None:
    """Priority levels, time-outs or bounds of the queue: with any of them it is not woken while instances are busy."""
    batching = Repository(REPOSITORY / repository).config(model).dynamic_batching
    assert not batching.priority_levels
    assert not batching.HasField("default_queue_policy")
    assert not batching.priority_queue_policy
