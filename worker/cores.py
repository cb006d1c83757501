"""How many processor cores this process may use: in a container often fewer than the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Of cgroup v2, as a container sees its own: microseconds of processor time, or "max", in a period of so many."""


def usable(quota: Path = _QUOTA) -> int:
    """Cores, at least 1: by the scheduler's affinity and, where there is one, the control group's quota, rounded up."""
    cores = len(os.sched_getaffinity(0))
    try:
        time, period = quota.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if time == "max" else max(1, min(cores, math.ceil(int(time) / int(period))))
