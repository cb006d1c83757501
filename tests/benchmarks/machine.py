"""What the figures were measured on, without a name that would tell where."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deploy.local.steps import REPOSITORY

_LIBRARIES = ("kafka-python", "aiohttp", "pillow", "tritonclient", "redis", "pydantic", "numpy")


def describe() -> dict[str, Any]:
    """Processor, memory, load, versions and commit."""
    return {
        "processor": _field("/proc/cpuinfo", r"model name\s*:\s*(.+)"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(_field("/proc/meminfo", r"MemTotal:\s*(\d+)")) / (1 << 20), 1),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "commit": _commit(),
    }


def _field(file: str, pattern: str) -> str:
    found = re.search(pattern, Path(file).read_text())
    return found[1].strip() if found else "0"


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "unknown"
