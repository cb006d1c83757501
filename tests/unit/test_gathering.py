"""When the next batch begins."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition

from worker.events import Source
from worker.stream import membership
from worker.stream.consumer import Stream
from worker.stream.envelope import Envelope
from worker.stream.gathering import Gathering
from worker.stream.inflight import Batch, InFlight, Item
from worker.stream.ownership import Ownership
from worker.tagger import Outcome

FULL = 64
PARTITION = TopicPartition("created", 0)


class Process:
    """A process whose clocks stand still until they are told to go on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.worked = 7.0

    def gathering(self, queue: InFlight) -> Gathering:
        return Gathering(queue, FULL, clock=lambda: self.now, work=lambda: self.worked)


class Queue(InFlight):
    """One whose waiting lets its process' clock go on, and says for how long it was told to wait."""

    def __init__(self, process: Process) -> None:
        super().__init__(4, 1000)
        self.waited: list[float] = []
        self._process = process

    def wait_until_empty(self, seconds: float) -> bool:
        if super().wait_until_empty(0):
            return True
        self.waited.append(seconds)
        self._process.now += seconds
        return False


def batch() -> Batch:
    source = Source(topic="created", partition=0, offset=0, timestamp=datetime.now(UTC))
    outcomes: Future[list[Outcome]] = Future()
    return Batch([Item(PARTITION, 0, Envelope(b"k", b"v", (), source))], {PARTITION: 1}, 1, outcomes)


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def queue(process: Process) -> Queue:
    return Queue(process)


def test_nothing_in_flight_keeps_no_record_waiting(process: Process, queue: Queue) -> None:
    gathering = process.gathering(queue)
    gathering.begun(1)
    process.worked += 10
    gathering.wait(0.5)
    assert queue.waited == []


@pytest.mark.parametrize(
    ("before", "waited"),
    [
        pytest.param((1, 0.020, 0.015), [0.010], id="as long as the one before it keeps the process busy"),
        pytest.param((1, 0.080, 0.015), [], id="not for a process that only waits for others"),
        pytest.param((FULL - 1, 0, 10), [0.5], id="no longer than it is told to"),
        pytest.param((FULL, 0, 10), [], id="not where the one before it was full"),
    ],
)
def test_a_batch_waits(process: Process, queue: Queue, before: tuple[int, float, float], waited: list[float]) -> None:
    records, passed, worked = before
    gathering = process.gathering(queue)
    queue.add(batch())
    gathering.begun(records)
    process.now += passed
    process.worked += worked
    gathering.wait(0.5)
    assert queue.waited == pytest.approx(waited)


def test_work_that_is_done_meanwhile_prolongs_the_wait(process: Process, queue: Queue) -> None:
    gathering = process.gathering(queue)
    queue.add(batch())
    gathering.begun(1)
    process.worked += 0.010
    waiting = queue.wait_until_empty

    def busy(seconds: float) -> bool:
        if len(queue.waited) < 3:
            process.worked += seconds / 4
        return waiting(seconds)

    queue.wait_until_empty = busy  # type: ignore[method-assign]
    gathering.wait(0.5)
    assert queue.waited == pytest.approx([0.020, 0.010, 0.005, 0.0025])


def test_a_queue_that_failed_is_not_waited_for(process: Process, queue: Queue) -> None:
    gathering = process.gathering(queue)
    queue.add(batch())
    gathering.begun(1)
    process.worked += 10
    queue.fail()
    gathering.wait(0.5)
    assert queue.waited == []


def test_a_commit_ends_the_wait() -> None:
    queue = InFlight(4, 1000)
    busy = 0.0

    def work() -> float:
        nonlocal busy
        busy += 1
        return busy

    gathering = Gathering(queue, FULL, work=work)
    only = batch()
    queue.add(only)
    gathering.begun(1)
    waiting = threading.Thread(target=gathering.wait, args=[60])
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    only.outcomes.set_result([])
    queue.remove(queue.wait_for_computed())
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_turn_of_the_stream_gathers_before_it_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or records that come while a batch is computed would each begin one of their own."""
    told: list[tuple[str, Any]] = []

    class Turning(Stream):
        """A stream of which nothing but the order of a turn is asked."""

        def __init__(self) -> None:
            self._in_flight = InFlight(4, 1)
            self._computation: Any = SimpleNamespace(waits=False)
            self._consumer = None
            self._ownership = Ownership()
            self._batch_size: Any = SimpleNamespace(update=lambda: FULL)
            self._gathering: Any = SimpleNamespace(
                wait=lambda seconds: told.append(("gathered", seconds > 0)), begun=lambda n: told.append(("begun", n))
            )

        def _recover(self) -> None: ...

        def _steer(self, *, reading: bool) -> None: ...

        def _report_lag(self, *, reading: bool) -> None: ...

        def _take(self, polled: dict[TopicPartition, list[Any]]) -> None:
            told.append(("taken", polled))

    def poll(*_: Any) -> dict[TopicPartition, list[Any]]:
        told.append(("polled", None))
        return {PARTITION: [1, 2]}

    monkeypatch.setattr(membership, "poll_all", poll)
    Turning()._turn()
    assert told == [("gathered", True), ("polled", None), ("taken", {PARTITION: [1, 2]}), ("begun", 2)]
