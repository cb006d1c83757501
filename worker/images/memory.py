"""A budget of memory that threads share: each takes what its work will need, and waits until that is free."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


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
