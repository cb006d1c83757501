"""The queue between the consumer and the committer."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from datetime import UTC, datetime

from kafka import TopicPartition

from worker.events import Source
from worker.stream.envelope import Envelope
from worker.stream.inflight import Batch, InFlight, Item
from worker.tagger import Outcome

PARTITION = TopicPartition("created", 0)


def batch(offset: int = 0, size: int = 10) -> Batch:
    source = Source(topic="created", partition=0, offset=offset, timestamp=datetime.now(UTC))
    item = Item(PARTITION, offset, Envelope(b"k", b"v", (), source))
    outcomes: Future[list[Outcome]] = Future()
    return Batch([item], {PARTITION: 1}, size, outcomes)


def test_batches_are_committed_in_the_order_of_reading_whatever_is_computed_first() -> None:
    queue = InFlight(10, 1000)
    first, second, third = batch(0), batch(1), batch(2)
    for each in (first, second, third):
        queue.add(each)
    second.outcomes.set_result([])
    first.outcomes.set_result([])
    assert queue.wait_for_computed() == [first, second]


def test_a_batch_takes_room_until_it_is_committed() -> None:
    queue = InFlight(1, 1000)
    only = batch()
    queue.add(only)
    only.outcomes.set_result([])
    assert not queue.has_room()
    queue.remove(queue.wait_for_computed())
    assert queue.has_room()


def test_bytes_are_bounded_and_one_batch_always_fits() -> None:
    queue = InFlight(10, 100)
    assert queue.has_room()
    queue.add(batch(size=1_000_000))
    assert not queue.has_room()


def test_after_a_failure_nothing_is_handed_out_until_the_queue_was_cleared() -> None:
    queue = InFlight(10, 1000)
    stale, fresh = batch(0), batch(1)
    stale.outcomes.set_result([])
    queue.add(stale)
    queue.fail()
    handed: list[list[Batch]] = []
    committer = threading.Thread(target=lambda: handed.append(queue.wait_for_computed()))
    committer.start()
    committer.join(0.05)
    assert handed == []
    queue.clear()
    fresh.outcomes.set_result([])
    queue.add(fresh)
    committer.join(5)
    assert handed == [[fresh]]


def test_clearing_cancels_what_is_still_in_computation() -> None:
    queue = InFlight(10, 1000)
    pending = batch()
    queue.add(pending)
    queue.clear()
    assert pending.outcomes.cancelled()
    assert len(queue) == 0


def test_a_closed_queue_lets_the_committer_go() -> None:
    queue = InFlight(10, 1000)
    queue.close()
    assert queue.wait_for_computed() == []
