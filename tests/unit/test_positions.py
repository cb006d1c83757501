"""Partitions without an offset hold up no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from worker.observe.progress import Progress
from worker.stream import membership
from worker.stream.positions import Positions

FIRST, SECOND, THIRD = (TopicPartition("created", number) for number in range(3))
ALL = frozenset({FIRST, SECOND, THIRD})


class Clock:
    """Seconds, as a test wants them."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Ground:
    """A consumer without positions, and what it is told when it asks for them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.missing: set[TopicPartition] = set()
        self.refused: set[TopicPartition] = set()
        self.asked: list[TopicPartition] = []
        self.progress = Progress(60)
        consumer = SimpleNamespace(_subscription=SimpleNamespace(missing_fetch_positions=lambda: set(self.missing)))
        monkeypatch.setattr(membership, "go_back", self._go_back)
        self.positions = Positions(consumer, self.progress, self.clock)

    def find(self, later: float = 0.0) -> list[TopicPartition]:
        """What was asked for by one more look, so many seconds later."""
        self.clock.now += later
        self.asked = []
        self.positions.find(ALL)
        return self.asked

    @property
    def reason(self) -> str:
        return self.progress.alive(neighbour_away=False).reason

    def _go_back(self, _consumer: Any, partition: TopicPartition, _timeout: float) -> None:
        self.asked.append(partition)
        if partition in self.refused:
            raise KafkaTimeoutError
        self.missing.discard(partition)


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch) -> Ground:
    return Ground(monkeypatch)


def test_kafka_python_may_try_first(ground: Ground) -> None:
    ground.missing = set(ALL)
    assert ground.find() == []
    assert sorted(ground.find(later=1.0)) == [FIRST, SECOND, THIRD]


def test_one_that_is_refused_comes_last_the_next_time(ground: Ground) -> None:
    ground.missing, ground.refused = set(ALL), {FIRST}
    ground.find()
    ground.find(later=1.0)
    assert ground.find(later=0.5) == []  # the loop has other things to do
    while ground.missing != {FIRST}:
        ground.find(later=1.0)
    assert "created/0" in ground.reason
    ground.refused.clear()
    assert ground.find(later=1.0) == [FIRST]
    assert ground.reason == "turning"


def test_what_is_lost_is_not_read_until_it_went_back(ground: Ground) -> None:
    ground.refused = {SECOND}
    ground.positions.lose(ALL)
    assert ground.positions.lost == ALL
    for _ in range(4):
        ground.find(later=1.0)
    assert ground.positions.lost == {SECOND}
    ground.refused.clear()
    ground.find(later=1.0)
    assert ground.positions.lost == frozenset()


def test_what_was_taken_away_is_not_asked_for(ground: Ground) -> None:
    ground.positions.lose(ALL)
    ground.positions.find([SECOND])
    assert ground.asked == [SECOND]
    assert ground.positions.lost == frozenset()
