"""What bounds the work in flight: slots for requests, bytes of photos, memory for decoding."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from worker.images.inflight import ByteBudget, HostSlots, NoFreeSlotError
from worker.images.memory import MemoryBudget


async def test_a_busy_host_leaves_slots_for_the_others() -> None:
    slots = HostSlots(per_host=2, total=3)
    async with slots.hold("a", 1), slots.hold("a", 1):
        waiting = [asyncio.create_task(_hold(slots, "a")) for _ in range(5)]
        await asyncio.sleep(0)
        async with slots.hold("b", 1):
            assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    assert len(slots) == 0


async def test_the_total_bounds_all_hosts_together() -> None:
    slots = HostSlots(per_host=2, total=2)
    async with slots.hold("a", 1), slots.hold("b", 1):
        with pytest.raises(NoFreeSlotError, match=r"within 0\.001 s"):
            await _hold(slots, "c", 0.001)
    assert len(slots) == 0


async def test_a_time_out_of_the_work_itself_is_not_taken_for_a_lack_of_slots() -> None:
    """Nor does the patience that was for waiting cut the work short."""
    slots = HostSlots(per_host=1, total=1)

    async def work() -> None:
        async with slots.hold("a", 0.001):
            await asyncio.sleep(0.01)
            raise TimeoutError("of the work")

    with pytest.raises(TimeoutError, match="of the work"):
        await work()
    assert len(slots) == 0


async def test_who_gives_up_waiting_frees_what_it_had() -> None:
    slots = HostSlots(per_host=1, total=1)
    async with slots.hold("a", 1):
        task = asyncio.create_task(_hold(slots, "b"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await _hold(slots, "b", 0.1)
    assert len(slots) == 0


async def test_a_queue_that_moves_is_waited_in_for_as_long_as_it_takes() -> None:
    """The last one waits for three times its patience."""
    slots = HostSlots(per_host=1, total=1)
    await asyncio.gather(*(_hold(slots, "a", 0.4, work=0.15) for _ in range(8)))
    assert len(slots) == 0


async def test_an_error_that_is_no_time_out_is_an_answer_too() -> None:
    slots = HostSlots(per_host=1, total=1)
    ends = await asyncio.gather(
        *(_hold(slots, "a", 0.4, work=0.15, end=ValueError()) for _ in range(8)), return_exceptions=True
    )
    assert [type(end) for end in ends] == [ValueError] * 8


async def test_time_outs_move_the_queue_of_no_host() -> None:
    slots = HostSlots(per_host=1, total=2)
    silent = [asyncio.create_task(_hold(slots, "a", 60, work=0.1, end=TimeoutError())) for _ in range(20)]
    await asyncio.sleep(0)
    with pytest.raises(NoFreeSlotError, match="none was answered"):
        await _hold(slots, "a", 0.5)
    for task in silent:
        task.cancel()
    await asyncio.gather(*silent, return_exceptions=True)


async def test_who_lacks_only_a_slot_of_the_total_waits_while_those_move_by_whatever_means() -> None:
    """That others' hosts are silent is not the fault of this one."""
    slots = HostSlots(per_host=1, total=1)
    silent = [_hold(slots, f"silent-{at}", 60, work=0.15, end=TimeoutError()) for at in range(8)]
    *_, end = await asyncio.gather(*silent, _hold(slots, "a", 0.4), return_exceptions=True)
    assert end is None


async def test_nobody_loses_patience_while_we_hold_a_request_up_ourselves() -> None:
    slots = HostSlots(per_host=1, total=1)
    async with slots.hold("a", 1):
        waiting = asyncio.create_task(_hold(slots, "a", 0.1))
        with slots.held_up():
            assert await asyncio.wait({waiting}, timeout=0.5) == (set(), {waiting})
        with pytest.raises(NoFreeSlotError):
            await waiting


async def _hold(
    slots: HostSlots, host: str, patience: float = 10, *, work: float = 0, end: Exception | None = None
) -> None:
    async with slots.hold(host, patience):
        await asyncio.sleep(work)
        if end is not None:
            raise end


async def test_a_download_waits_until_bytes_are_free() -> None:
    budget = ByteBudget(100)
    with budget.account() as first:
        await first.add(90)
        with budget.account() as second:
            adding = asyncio.create_task(second.add(20))
            await asyncio.sleep(0)
            assert not adding.done()
            assert budget.used == 90


async def test_bytes_given_back_let_the_next_go_on() -> None:
    budget = ByteBudget(100)
    with budget.account() as second:
        with budget.account() as first:
            await second.add(10)
            await first.add(90)
            third = asyncio.create_task(_take(budget, 50))
            await asyncio.sleep(0)
            assert not third.done()
        await third
    assert budget.used == 0


async def test_the_oldest_download_may_exceed_the_budget_so_that_not_all_wait() -> None:
    budget = ByteBudget(100)
    with budget.account() as first, budget.account() as second:
        await first.add(50)
        await second.add(50)
        await asyncio.wait_for(first.add(500), 1)
        assert budget.used == 600


async def test_who_has_no_bytes_yet_is_not_the_one_that_all_wait_for() -> None:
    """It may itself wait for a slot, which those that want bytes hold."""
    budget = ByteBudget(100)
    with budget.account(), budget.account() as second, budget.account() as third:
        await second.add(50)
        await third.add(50)
        assert (second.has_room(500), third.has_room(1)) == (True, False)
        await asyncio.wait_for(second.add(500), 1)


async def _take(budget: ByteBudget, amount: int) -> None:
    with budget.account() as account:
        await account.add(amount)


def test_decoding_never_holds_more_memory_than_allowed() -> None:
    budget, seen = MemoryBudget(), []

    def work(amount: int) -> None:
        with budget.hold(amount, 100):
            seen.append(budget.used)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [10, 60, 50, 90, 30, 100, 5, 45] * 50))
    assert max(seen) <= 100
    assert budget.used == 0


def test_what_needs_more_than_all_waits_for_all_others() -> None:
    budget = MemoryBudget()
    entered = threading.Event()

    def large() -> None:
        with budget.hold(500, 100):
            entered.set()

    thread = threading.Thread(target=large)
    with budget.hold(1, 100):
        thread.start()
        assert not entered.wait(0.02)
    thread.join(5)
    assert entered.is_set()
