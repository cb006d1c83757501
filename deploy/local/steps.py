"""Steps of the installation: done once for the same inputs, and never half.

A step's stamp is a file that holds the hash of everything that decided its result. The next run compares hashes and
does nothing when they agree: set-up costs milliseconds once it is done, and a changed lock file repeats just its step.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import InstallFailed

REPOSITORY = Path(__file__).resolve().parents[2]
INSTALLED = REPOSITORY / ".local"
"""Where the servers are installed: one ignored folder."""


def digest(*inputs: Path | str) -> str:
    """A hash over texts and the contents of files, in order."""
    result = hashlib.sha256()
    for entry in inputs:
        content = entry.read_bytes() if isinstance(entry, Path) else entry.encode()
        result.update(len(content).to_bytes(8))
        result.update(content)
    return result.hexdigest()


@contextmanager
def step(stamp: Path, inputs: str) -> Iterator[bool]:
    """Run the body once for each value of ``inputs``; it is given whether there is anything to do.

    Two processes that want the same step wait for each other. The stamp is written after the body has succeeded.

        with step(folder / ".stamp", digest(lock_file)) as due:
            if due:
                ...
    """
    if _stamped(stamp, inputs):
        yield False
        return
    stamp.parent.mkdir(parents=True, exist_ok=True)
    with locked(stamp.with_name(stamp.name + ".lock")):
        if _stamped(stamp, inputs):
            yield False
            return
        stamp.unlink(missing_ok=True)
        yield True
        stamp.write_text(inputs)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel releases it when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(what: str, command: Sequence[str | Path], *, timeout: float = 1800) -> None:
    """Run one command of a step.

    Raises:
        InstallFailed: it ended with an error; ``what`` (as in "could not <what>") and the end of its output are named.
    """
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    if result.returncode != 0:
        output = result.stdout.decode(errors="replace")[-4000:]
        raise InstallFailed(f"could not {what}: {command[0]} ended with {result.returncode}:\n{output}")


def _stamped(stamp: Path, inputs: str) -> bool:
    return stamp.exists() and stamp.read_text() == inputs
