"""Photos a second by fetching and decoding alone: the worker's own libraries, decoders and garbage collection."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.benchmarks.arithmetic import Sample, steady_rate
from worker import images
from worker.settings import ImageSettings
from worker.start import ALLOCATIONS

SIDE = 128
PHOTOS = 1_500
_AT_ONCE = 64


async def rate(base: str, names: list[str]) -> float:
    """Photos a second, over the same part of the run as the worker's, with as many under way as it allows a host."""
    policy = images.AddressPolicy(allowed_private_hosts=frozenset({"127.0.0.1"}))
    loop = asyncio.get_running_loop()
    turns = iter(range(PHOTOS))
    done: list[Sample] = []
    with ThreadPoolExecutor(ImageSettings().decode_threads) as decoders:
        async with images.PhotoFetcher(policy=policy) as fetcher:

            async def work() -> None:
                for number in turns:
                    data = await fetcher.fetch(f"{base}/{names[number % len(names)]}?baseline={number}")
                    await loop.run_in_executor(decoders, images.decode, data, SIDE)
                    done.append((time.monotonic(), len(done) + 1))

            await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return steady_rate(done)


if __name__ == "__main__":
    gc.freeze()
    gc.set_threshold(ALLOCATIONS)
    base, *names = sys.argv[1:]
    sys.stdout.write(json.dumps({"photos_per_second": asyncio.run(rate(base, names))}) + "\n")
