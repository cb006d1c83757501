"""Photos a second by fetching and decoding alone: the worker's own libraries, decoders and garbage collection.

Once in a single process, and once in as many as a worker has for its photos, with equal parts of its decoders.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from threading import Barrier

from tests.benchmarks.arithmetic import Sample, steady_rate
from worker import images
from worker.settings import ImageSettings
from worker.start import ALLOCATIONS

SIDE = 128
PHOTOS = 1_500
_AT_ONCE = 64


async def rate(base: str, names: list[str], share: int, together: Barrier | None = None) -> float:
    """Photos a second, over the same part of the run as the worker's, with as many under way as it allows a host.

    Parameters:
        share: processes that do this together.
        together: where they wait for each other before they begin; a manager's, who lets processes wait.
    """
    policy = images.AddressPolicy(allowed_private_hosts=frozenset({"127.0.0.1"}))
    loop = asyncio.get_running_loop()
    turns = iter(range(PHOTOS // share))
    done: list[Sample] = []
    with ThreadPoolExecutor(-(-ImageSettings().decode_threads // share)) as decoders:
        async with images.PhotoFetcher(policy=policy) as fetcher:

            async def work() -> None:
                for number in turns:
                    data = await fetcher.fetch(f"{base}/{names[number % len(names)]}?{os.getpid()}-{number}")
                    await loop.run_in_executor(decoders, images.decode, data, SIDE)
                    done.append((time.monotonic(), len(done) + 1))

            if together is not None:
                together.wait()
            await asyncio.gather(*(work() for _ in range(_AT_ONCE // share)))
    return steady_rate(done)


def measure(base: str, names: list[str], share: int, together: Barrier | None = None) -> float:
    """``rate``, in a process that does nothing else."""
    gc.freeze()
    gc.set_threshold(ALLOCATIONS)
    return asyncio.run(rate(base, names, share, together))


def shared(base: str, names: list[str], share: int) -> float:
    """Photos a second of so many processes together."""
    spawning = multiprocessing.get_context("spawn")
    with spawning.Manager() as manager, ProcessPoolExecutor(share, spawning) as pool:
        together = manager.Barrier(share)
        parts = [pool.submit(measure, base, names, share, together) for _ in range(share)]
        return sum(part.result() for part in parts)


if __name__ == "__main__":
    base, *names = sys.argv[1:]
    share = max(1, ImageSettings().processes)
    answer = {
        "processes": share,
        "photos_per_second": shared(base, names, share),
        "in_one_process": measure(base, names, 1),
    }
    sys.stdout.write(json.dumps(answer) + "\n")
