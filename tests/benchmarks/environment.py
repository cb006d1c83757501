"""The Python environment of the peers and the profiler, apart from the project's: ``requirements/bench.txt``.

Quix Streams pins libraries below the versions that the worker is locked to, so the two cannot share one environment.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.local.steps import INSTALLED, REPOSITORY, digest, run, step

_LOCK = REPOSITORY / "requirements" / "bench.txt"
_VENV = INSTALLED / "bench" / "venv"


def python() -> str:
    """Its interpreter; the environment is made where it is not there yet.

    Raises:
        InstallFailed: pip failed.
    """
    with step(_VENV.parent / ".stamp", digest(_LOCK)) as due:
        if due:
            run("make the benchmarks' Python environment", [sys.executable, "-m", "venv", "--clear", _VENV])
            run(
                "install the peers and the profiler",
                [program("python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", _LOCK],
            )
    return str(program("python"))


def program(name: str) -> Path:
    """A program of the environment."""
    return _VENV / "bin" / name
