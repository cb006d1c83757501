"""What decoding a file costs, measured in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tests.unit.images.pictures import encode, plain
from worker.errors import Reason, Rejected
from worker.images import DecodeLimits, decode


@dataclass(frozen=True)
class Cost:
    """How a file's decoding ended, and what it took.

    Parameters:
        outcome: ``pixels``, or the reason of the rejection.
        seconds: of CPU.
        peak: bytes of resident memory above what the process had before.
    """

    outcome: str
    seconds: float
    peak: int


def costs(files: Mapping[str, bytes], limits: DecodeLimits | None = None, side: int = 224) -> dict[str, Cost]:
    """Decode each file in turn in one fresh process. A crash of that process fails the test."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(_cost, encode(plain("RGB", 0), "JPEG"), DecodeLimits(), side).result()
        return {name: pool.submit(_cost, data, limits or DecodeLimits(), side).result() for name, data in files.items()}


def _cost(data: bytes, limits: DecodeLimits, side: int) -> Cost:
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak: proc(5)
    before, begun = _memory("VmRSS"), time.process_time()
    try:
        decode(data, side, limits=limits)
        outcome = "pixels"
    except Rejected as rejection:
        outcome = rejection.reason.value
    return Cost(outcome, time.process_time() - begun, _memory("VmHWM") - before)


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def assert_bounded(found: dict[str, Cost]) -> None:
    """Every end has a reason, and none was dear: at most 3 s of CPU and 64 MiB each."""
    reasons = {reason.value for reason in Reason}
    assert {name: cost for name, cost in found.items() if cost.outcome not in {"pixels", *reasons}} == {}
    assert {name: cost for name, cost in found.items() if cost.seconds > 3 or cost.peak > 64 << 20} == {}
