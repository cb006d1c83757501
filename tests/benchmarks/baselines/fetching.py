"""Photos a second by fetching and decoding alone, with the worker's own libraries and a decoder a core."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from worker import images

SIDE = 128
PHOTOS = 1_500
_WARM_UP = 100
_AT_ONCE = 64


async def rate(base: str, names: list[str]) -> float:
    """Photos a second, with as many under way as the worker allows to one host."""
    policy = images.AddressPolicy(allowed_private_hosts=frozenset({"127.0.0.1"}))
    loop = asyncio.get_running_loop()
    turns = iter(range(_WARM_UP + PHOTOS))
    begun = 0.0
    with ThreadPoolExecutor(os.cpu_count()) as decoders:
        async with images.PhotoFetcher(policy=policy) as fetcher:

            async def work() -> None:
                nonlocal begun
                for number in turns:
                    if number == _WARM_UP:
                        begun = time.perf_counter()
                    data = await fetcher.fetch(f"{base}/{names[number % len(names)]}?baseline={number}")
                    await loop.run_in_executor(decoders, images.decode, data, SIDE)

            await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return PHOTOS / (time.perf_counter() - begun)


if __name__ == "__main__":
    base, *names = sys.argv[1:]
    sys.stdout.write(json.dumps({"photos_per_second": asyncio.run(rate(base, names))}) + "\n")
