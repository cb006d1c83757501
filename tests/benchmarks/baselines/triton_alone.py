"""Images a second of Triton's image encoder, driven directly with pixels that lie ready, at its best batch."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import numpy as np

from worker.models import Triton
from worker.models.client import IMAGE_MODEL
from worker.settings import TritonSettings

_BATCHES = (4, 16, 32, 64)
_AT_ONCE = 2
_SECONDS = 4.0


async def rates(url: str) -> dict[int, float]:
    """Batch size -> images a second, with two requests under way."""
    found: dict[int, float] = {}
    async with Triton(TritonSettings(url=url, request_timeout=60)) as triton:
        config = await triton.config(IMAGE_MODEL)
        side = int(config.parameters["1/side"].string_value)
        for batch in _BATCHES:
            pixels = np.random.default_rng(1).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
            await triton.embed_images("1", pixels)
            found[batch] = await _rate(triton, pixels)
    return found


async def _rate(triton: Triton, pixels: np.typing.NDArray[np.uint8]) -> float:
    done, begun = 0, time.perf_counter()

    async def drive() -> None:
        nonlocal done
        while time.perf_counter() - begun < _SECONDS:
            await triton.embed_images("1", pixels)
            done += len(pixels)

    await asyncio.gather(*(drive() for _ in range(_AT_ONCE)))
    return done / (time.perf_counter() - begun)


if __name__ == "__main__":
    measured = asyncio.run(rates(sys.argv[1]))
    best = max(measured, key=lambda batch: measured[batch])
    sys.stdout.write(json.dumps({"images_per_second": measured[best], "batch": best, "all": measured}) + "\n")
