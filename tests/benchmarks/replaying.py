"""``colour-worker replay`` as a child process, and how fast its group gets on."""

from __future__ import annotations

import signal
import subprocess

from tests.benchmarks.arithmetic import steady_rate
from tests.benchmarks.fleet import Fleet
from tests.support.replaying import COMMAND


def begin(fleet: Fleet, name: str, *, release: str | None = None) -> subprocess.Popen[bytes]:
    """Replay everything that the topic holds now."""
    arguments = ["--from", "0", "--id", name, "--no-compare"]
    if release is not None:
        arguments += ["--release", release]
    with (fleet.deployment.folder / f"replay-{name}.log").open("wb") as log:
        return subprocess.Popen(
            [*COMMAND, *arguments], env=fleet.deployment.environment(), stdout=subprocess.DEVNULL, stderr=log
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL if that does not end it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def rate(fleet: Fleet, name: str, count: int, *, release: str | None = None) -> float:
    """Events a second of a replay of ``count`` events, from its first commits to nearly its last."""
    process = begin(fleet, name, release=release)
    try:
        samples = fleet.watch(count, group=f"{fleet.deployment.name}.replay.{name}")
    finally:
        end(process)
    return steady_rate(samples)
