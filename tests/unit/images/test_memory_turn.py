"""Pictures that need more than their process's part of the memory take turns over all processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from worker.images.memory import turn

_HOLDER = """
import sys
from pathlib import Path
from worker.images.memory import turn
with turn(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_one_waits_for_another_process_and_goes_on_when_that_dies(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    entered = threading.Event()

    def wait() -> None:
        with turn(lock):
            entered.set()

    command = [sys.executable, "-c", _HOLDER, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
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
