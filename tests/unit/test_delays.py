"""A retry waits until it is due and holds only its own partition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kafka import TopicPartition

from worker.events import Source
from worker.stream.delays import Delays
from worker.stream.envelope import Envelope
from worker.stream.inflight import Item

NOW = datetime(2026, 2, 1, tzinfo=UTC)
RETRY = TopicPartition("retry.1", 0)


def item(offset: int, due: datetime | None) -> Item:
    source = Source(topic="created", partition=0, offset=offset, timestamp=NOW)
    return Item(RETRY, offset, Envelope(None, b"v", (), source, due=due))


def test_what_is_due_is_taken_and_the_rest_waits_in_order() -> None:
    items = [item(0, NOW - timedelta(seconds=1)), item(1, NOW), item(2, NOW + timedelta(seconds=5)), item(3, NOW)]
    due, first = Delays().split(items, NOW)
    assert [each.offset for each in due] == [0, 1]
    assert first is items[2]


def test_records_without_a_due_time_never_wait() -> None:
    items = [item(0, None), item(1, None)]
    assert Delays().split(items, NOW) == (items, None)


def test_a_partition_is_held_until_its_first_record_is_due() -> None:
    delays = Delays()
    delays.hold(RETRY, item(2, NOW + timedelta(seconds=5)))
    assert delays.holding(NOW) == {RETRY}
    assert delays.holding(NOW + timedelta(seconds=5)) == frozenset()
