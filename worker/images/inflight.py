"""How much is fetched at once: requests to one host, requests to all, and bytes of photos held in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class NoFreeSlotError(TimeoutError):
    """All slots stayed in use, and nothing moved, for longer than a request was ready to wait."""


class HostSlots:
    """Slots for requests: so many to one host, so many to all.

    Who waits for a busy host holds no slot of the others', so one slow host delays only its own photos. A long queue is
    no fault of a host that works it off: patience counts from when something last moved.

    Parameters:
        per_host: requests to one host at once.
        total: requests to all hosts at once.
    """

    def __init__(self, per_host: int, total: int) -> None:
        self._per_host = per_host
        self._total = _Slots(total)
        self._hosts: dict[str, tuple[_Slots, int]] = {}
        self._held_up = 0
        self._went_on = 0.0

    def __len__(self) -> int:
        """Hosts that somebody uses or waits for."""
        return len(self._hosts)

    @asynccontextmanager
    async def hold(self, host: str, patience: float) -> AsyncIterator[None]:
        """A slot for one request to ``host``, for the length of an ``async with`` block.

        Raises:
            NoFreeSlotError: for ``patience`` seconds the host answered nobody (a time-out is no answer); or, where only
                a slot of the total is lacking, none of those came free.
        """
        slots, users = self._hosts.get(host, (_Slots(self._per_host), 0))
        self._hosts[host] = slots, users + 1
        try:
            await self._take(slots, patience)
            try:
                await self._take(self._total, patience)
                answered = True
                try:
                    yield
                except (TimeoutError, asyncio.CancelledError):
                    answered = False
                    raise
                finally:
                    self._total.free.release()
                    self._total.moved = asyncio.get_running_loop().time()
                    if answered:
                        slots.moved = self._total.moved
            finally:
                slots.free.release()
        finally:
            slots, users = self._hosts.pop(host)
            if users > 1:
                self._hosts[host] = slots, users - 1

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """While we ourselves hold a request up: nobody loses patience with a host for that."""
        self._held_up += 1
        try:
            yield
        finally:
            self._held_up -= 1
            self._went_on = asyncio.get_running_loop().time()

    async def _take(self, slots: _Slots, patience: float) -> None:
        if slots.free.locked():
            await self._wait(slots, patience)
        else:
            await slots.free.acquire()

    async def _wait(self, slots: _Slots, patience: float) -> None:
        """Until one of the slots is ours."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            moved = loop.time() if self._held_up else max(begun, slots.moved, self._went_on)
            if moved + patience > loop.time():
                timer = loop.call_at(moved + patience, look)
            else:
                waiting.reschedule(loop.time())

        timer = loop.call_at(begun + patience, look)
        try:
            # Looked at from outside: who gave up and asked again would stand at the end of the queue.
            async with asyncio.timeout(None) as waiting:
                await slots.free.acquire()
        except TimeoutError:
            raise NoFreeSlotError(
                f"no request to this host could begin within {patience:g} s, and none was answered"
            ) from None
        finally:
            timer.cancel()


class _Slots:
    """Slots, and when they last moved, in seconds of the event loop."""

    def __init__(self, count: int) -> None:
        self.free = asyncio.Semaphore(count)
        self.moved = 0.0


class ByteBudget:
    """Bytes of photos in memory, over all downloads. Who would exceed it stops reading, so that TCP slows the sender.

    The download that got its first bytes first may always go on, or all could wait for each other. The most that is
    held is therefore the limit and one photo. (Not the one that began first: it may still wait for a slot that others
    hold.)

    Parameters:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[ByteAccount, int] = {}
        self._used = 0
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def used(self) -> int:
        """Bytes held at the moment."""
        return self._used

    @contextmanager
    def account(self) -> Iterator[ByteAccount]:
        """An account of one download's bytes; leaving the ``with`` block gives them back."""
        account = ByteAccount(self)
        try:
            yield account
        finally:
            self._used -= self._held.pop(account, 0)
            for waiter in self._waiting:
                if not waiter.done():
                    waiter.set_result(None)

    def has_room(self, account: ByteAccount, amount: int) -> bool:
        """Whether ``account`` may hold ``amount`` more bytes now."""
        return self._used + amount <= self._limit or next(iter(self._held), account) is account

    async def add(self, account: ByteAccount, amount: int) -> None:
        """Hold ``amount`` more bytes on ``account``, when there is room."""
        self._held.setdefault(account, 0)
        while not self.has_room(account, amount):
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)
        self._held[account] += amount
        self._used += amount


class ByteAccount:
    """One download's share of a ``ByteBudget``."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget

    def has_room(self, amount: int) -> bool:
        """Whether ``add`` would return at once."""
        return self._budget.has_room(self, amount)

    async def add(self, amount: int) -> None:
        """Hold ``amount`` more bytes, waiting until there is room."""
        await self._budget.add(self, amount)
