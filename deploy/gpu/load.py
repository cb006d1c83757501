"""Requests to Triton over gRPC from processes of their own, as many under way as asked for."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import numpy as np
from tritonclient.grpc import aio as triton

MODEL = "encoder"


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked.

    Parameters:
        url: ``host:port`` of Triton's gRPC endpoint.
        side: of a picture, in pixels.
        batch: pictures in a request.
        in_flight: requests under way at once, over all processes.
        seconds: for so long, after a second of warming up.
    """

    url: str
    side: int
    batch: int
    in_flight: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of it: images a second, and the seconds from request to answer of each request."""

    rate: float
    latencies: tuple[float, ...]


def drive(load: Load, processes: int) -> Answered:
    """Spread the requests over some processes: one Python cannot feed a fast GPU."""
    used = min(processes, load.in_flight)
    shares = [load.in_flight // used + (number < load.in_flight % used) for number in range(used)]
    context = get_context("spawn")
    # They begin at once, or the sum of their rates would count what the first did while it was alone.
    with ProcessPoolExecutor(used, context, initializer=_meet, initargs=(context.Barrier(used),)) as pool:
        found = list(pool.map(_process, [load] * used, shares))
    return Answered(
        sum(answered.rate for answered in found),
        tuple(latency for answered in found for latency in answered.latencies),
    )


_start: Barrier


def _meet(start: Barrier) -> None:
    global _start  # noqa: PLW0603 - a barrier is handed to a process as it begins, and to no call
    _start = start


def _process(load: Load, share: int) -> Answered:
    _start.wait(60)
    return asyncio.run(_drive(load, share))


async def _drive(load: Load, share: int) -> Answered:
    latencies: list[float] = []
    async with triton.InferenceServerClient(load.url) as client:
        begun = time.perf_counter() + 1.0

        async def ask(number: int) -> None:
            pixels = np.random.default_rng(number).integers(0, 256, (load.batch, load.side, load.side, 3), np.uint8)
            tensor = triton.InferInput("pixels", list(pixels.shape), "UINT8")
            while (at := time.perf_counter()) < begun + load.seconds:
                tensor.set_data_from_numpy(pixels)
                await client.infer(MODEL, [tensor], outputs=[triton.InferRequestedOutput("embedding")])
                if at >= begun:
                    latencies.append(time.perf_counter() - at)

        await asyncio.gather(*(ask(number) for number in range(share)))
        seconds = time.perf_counter() - begun
    return Answered(len(latencies) * load.batch / seconds, tuple(latencies))
