"""Pictures that need more than their process's part of the memory take turns over all processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.images.memory import turn

_HOLDER = """
import sys
from pathlib import Path
from worker.images.memory import turn
with turn(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock() -> Iterator[Path]:
    """As a worker's photo processes inherit it."""
    number = os.memfd_create("turns")
    yield Path(f"/proc/self/fd/{number}")
    os.close(number)


def test_one_waits_for_another_process_and_goes_on_when_that_dies(lock: Path) -> None:
    entered = threading.Event()

    def wait() -> None:
        with turn(lock):
            entered.set()

    command = [sys.executable, "-c", _HOLDER, str(lock)]
    inherited = [int(lock.name)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=inherited) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not entered.wait(0.1)
        holder.kill()
        waiting.join(10)
    assert entered.is_set()


def test_where_there_is_one_process_nobody_waits() -> None:
    with turn(None), turn(None):
        pass
