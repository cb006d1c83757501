"""How much is fetched at once: requests to one host, requests to all, and bytes of photos held in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class NoFreeSlotError(TimeoutError):
    """All slots stayed in use for longer than a request was ready to wait."""


class HostSlots:
    """Slots for requests: so many to one host, so many to all.

    Who waits for a busy host holds no slot of the others', so one slow host delays only its own photos.

    Parameters:
        per_host: requests to one host at once.
        total: requests to all hosts at once.
    """

    def __init__(self, per_host: int, total: int) -> None:
        self._per_host = per_host
        self._total = asyncio.Semaphore(total)
        self._hosts: dict[str, tuple[asyncio.Semaphore, int]] = {}

    def __len__(self) -> int:
        """Hosts that somebody uses or waits for."""
        return len(self._hosts)

    @asynccontextmanager
    async def hold(self, host: str, patience: float) -> AsyncIterator[None]:
        """A slot for one request to ``host``, for the length of an ``async with`` block.

        Raises:
            NoFreeSlotError: none became free within ``patience`` seconds.
        """
        semaphore, users = self._hosts.get(host, (asyncio.Semaphore(self._per_host), 0))
        self._hosts[host] = semaphore, users + 1
        try:
            async with asyncio.timeout(patience) as waiting, semaphore, self._total:
                waiting.reschedule(None)
                yield
        except TimeoutError:
            if waiting.expired():
                raise NoFreeSlotError(f"no request to this host could begin within {patience:g} s") from None
            raise
        finally:
            semaphore, users = self._hosts.pop(host)
            if users > 1:
                self._hosts[host] = semaphore, users - 1


class ByteBudget:
    """Bytes of photos in memory, over all downloads. Who would exceed it stops reading, so that TCP slows the sender.

    The download that began first may always go on, or all could wait for each other. The most that is held is
    therefore the limit and one photo.

    Parameters:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[ByteAccount, int] = {}
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def used(self) -> int:
        """Bytes held at the moment."""
        return sum(self._held.values())

    @contextmanager
    def account(self) -> Iterator[ByteAccount]:
        """An account of one download's bytes; leaving the ``with`` block gives them back."""
        account = ByteAccount(self)
        self._held[account] = 0
        try:
            yield account
        finally:
            del self._held[account]
            for waiter in self._waiting:
                if not waiter.done():
                    waiter.set_result(None)

    async def add(self, account: ByteAccount, amount: int) -> None:
        """Hold ``amount`` more bytes on ``account``, when there is room."""
        while self.used + amount > self._limit and next(iter(self._held)) is not account:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)
        self._held[account] += amount


class ByteAccount:
    """One download's share of a ``ByteBudget``."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget

    async def add(self, amount: int) -> None:
        """Hold ``amount`` more bytes, waiting until there is room."""
        await self._budget.add(self, amount)
