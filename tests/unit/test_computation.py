"""Between Kafka's threads and the tagger: patience, and one event's bug is no other's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import pytest

from worker.errors import Reason, Rejected, Unavailable
from worker.observe import metrics
from worker.photos import Loaded
from worker.stream.computation import Computation
from worker.tagger import Outcome, Tagger

FINE = Rejected(Reason.NO_PHOTO, "stands for any answer")


class Scripted:
    """Answers each batch as a function says: the seam is the tagger's two methods.

    Parameters:
        pings: questions to Triton that fail, from the first one on.
    """

    def __init__(self, answer: Callable[[Sequence[bytes | None]], list[Outcome]], pings: int) -> None:
        self._answer = answer
        self.pings = pings
        self.loaded: list[Loaded] = []

    async def tag(self, values: Sequence[bytes | None], loaded: Loaded) -> list[Outcome]:
        self.loaded.append(loaded)
        return self._answer(values)

    async def ping(self) -> None:
        if self.pings:
            self.pings -= 1
            raise Unavailable("triton", "away")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def compute(loop: asyncio.AbstractEventLoop, answer: Callable[[Sequence[bytes | None]], list[Outcome]]) -> Computation:
    return Computation(cast("Tagger", Scripted(answer, pings=0)), loop, retry_delay=0.001)


def test_an_event_that_brings_out_a_bug_is_rejected_alone(loop: asyncio.AbstractEventLoop) -> None:
    def answer(values: Sequence[bytes | None]) -> list[Outcome]:
        if b"poison" in values:
            raise ZeroDivisionError("a bug")
        return [FINE] * len(values)

    outcomes = compute(loop, answer).submit([b"a", b"poison", b"b"]).result(5)
    assert outcomes[0] is outcomes[2] is FINE
    poisoned = outcomes[1]
    assert isinstance(poisoned, Rejected)
    assert poisoned.reason is Reason.INTERNAL_ERROR


def test_a_batch_waits_for_a_neighbour_and_is_then_answered(loop: asyncio.AbstractEventLoop) -> None:
    computation: Computation
    waited: list[bool] = []
    attempts = iter(range(10))

    def answer(values: Sequence[bytes | None]) -> list[Outcome]:
        waited.append(computation.waits)
        if next(attempts) < 3:
            raise Unavailable("triton", "away")
        return [FINE] * len(values)

    computation = compute(loop, answer)
    assert computation.submit([b"a"]).result(5) == [FINE]
    assert waited == [False, True, True, True]
    assert not computation.waits


def test_no_batch_is_tried_again_before_triton_answers(loop: asyncio.AbstractEventLoop) -> None:
    """And what one attempt has loaded, the next one is given."""
    pings_left: list[int] = []

    def answer(values: Sequence[bytes | None]) -> list[Outcome]:
        pings_left.append(tagger.pings)
        if len(pings_left) < 3:
            raise Unavailable("triton", "away")
        return [FINE] * len(values)

    tagger = Scripted(answer, pings=5)
    computation = Computation(cast("Tagger", tagger), loop, retry_delay=0.001)
    assert computation.submit([b"a"]).result(5) == [FINE]
    assert pings_left == [5, 0, 0]
    first, second, third = tagger.loaded
    assert first is second is third
    assert computation.submit([b"b"]).result(5) == [FINE]
    assert tagger.loaded[-1] is not first


def test_each_neighbour_that_is_away_is_told_apart_and_only_triton_excuses_standing_still(
    loop: asyncio.AbstractEventLoop,
) -> None:
    seen: list[tuple[float, float, bool]] = []
    away = iter(["photos", "triton", "photos"])
    computation: Computation

    def gauge(neighbour: str) -> float:
        return float(metrics.UNAVAILABLE.labels(neighbour)._value.get())

    def answer(values: Sequence[bytes | None]) -> list[Outcome]:
        seen.append((gauge("photos"), gauge("triton"), computation.waits))
        if (neighbour := next(away, None)) is not None:
            raise Unavailable(neighbour, "away")
        return [FINE] * len(values)

    computation = compute(loop, answer)
    computation.submit([b"a"]).result(5)
    seen.append((gauge("photos"), gauge("triton"), computation.waits))
    assert seen == [(0, 0, False), (1, 0, False), (0, 1, True), (1, 0, False), (0, 0, False)]
