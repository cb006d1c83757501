"""Photos a second through the real Triton: encoder and head by the worker's own client, many requests in flight."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deploy.local.triton import TritonServer
from worker.models.client import Triton
from worker.models.following import Releases
from worker.settings import TritonSettings

_AT_ONCE = 4
_BATCH = 16


@dataclass(frozen=True)
class Measured:
    """What Triton did.

    Parameters:
        images: a second, embedded and answered.
        seconds: measured for.
        cores: of this machine, shared by server and client.
    """

    images: float
    seconds: float
    cores: int

    def __str__(self) -> str:
        return f"{self.images:.0f} images/s on {self.cores} CPU cores, client included, over {self.seconds:.0f} s"


def measure(repository: Path, seconds: float = 10.0) -> Measured:
    """Start a Triton of its own on a repository, ask it for some seconds, and stop it.

    Raises:
        InstallFailed: Triton is not installed here and cannot be.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = TritonServer(Path(folder), repository=repository)
        server.install()
        server.start()
        try:
            return asyncio.run(_ask(server.grpc, seconds))
        finally:
            server.stop()


async def _ask(url: str, seconds: float) -> Measured:
    async with Triton(TritonSettings(url=url)) as triton:
        release = await Releases(triton, 1).current()
        side = release.image.side
        pixels = np.random.default_rng(0).integers(0, 256, (_BATCH, side, side, 3), np.uint8)

        async def one() -> int:
            images = await triton.embed_images(release.image.version, pixels)
            await triton.probabilities(release.head.version, images, np.zeros_like(images))
            return len(images)

        async def keep_asking(until: float) -> int:
            answered = 0
            while time.monotonic() < until:
                answered += await one()
            return answered

        await one()
        began = time.monotonic()
        answered = sum(await asyncio.gather(*(keep_asking(began + seconds) for _ in range(_AT_ONCE))))
        took = time.monotonic() - began
    return Measured(answered / took, took, len(os.sched_getaffinity(0)))
