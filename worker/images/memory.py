"""Memory that threads share, and processes: each takes what its work will need, and waits until that is free."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class MemoryBudget:
    """Bytes in use by all threads of this process that hold some.

    First come, first served: whoever needs much is not overtaken for ever by those who need little.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._freed = threading.Condition()
        self._used = 0

    @property
    def used(self) -> int:
        """Bytes held at the moment."""
        return self._used

    @contextmanager
    def hold(self, amount: int, limit: int) -> Iterator[None]:
        """Take ``amount`` bytes for the length of a ``with`` block, waiting while all together would exceed ``limit``.

        One holder alone is always let in, so an ``amount`` above ``limit`` waits for all others and does not block for
        ever; whoever wants it refused has to refuse it.
        """
        with self._turn, self._freed:
            self._freed.wait_for(lambda: self._used == 0 or self._used + amount <= limit)
            self._used += amount
        try:
            yield
        finally:
            with self._freed:
                self._used -= amount
                self._freed.notify_all()


@contextmanager
def turn(lock: Path | None) -> Iterator[None]:
    """Be the only one, of all processes that have this file, for the length of a ``with`` block.

    A process that dies lets others go on.

    Parameters:
        lock: the file; ``None``: there is nothing to wait for.
    """
    if lock is None:
        yield
        return
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
