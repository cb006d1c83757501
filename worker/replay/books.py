"""Keeps each partition's tally in step with its offset: the committer asks for it inside the transaction."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence

from kafka import TopicPartition

from worker.errors import Postponed
from worker.replay.previous import PreviousAnswers
from worker.replay.tally import Tally
from worker.stream.transactions import Answer
from worker.tagger import Labelled


class Books:
    """Tallies by partition, shared by the consumer's thread and the committer's.

    A tally is taken from the committed offset whenever a partition is begun, for the first time, after a rebalance or
    after a transaction that failed, so it never counts what was not committed.

    Parameters:
        previous: the last answers; ``None``: moves are not counted.
    """

    def __init__(self, previous: PreviousAnswers | None) -> None:
        self._previous = previous
        self._lock = threading.Lock()
        self._tallies: dict[TopicPartition, Tally] = {}
        self._skipped: dict[TopicPartition, deque[tuple[int, int]]] = {}

    def open(self, partition: TopicPartition, tally: Tally) -> None:
        """Begin at a committed offset, whose metadata was ``tally``."""
        with self._lock:
            self._tallies[partition] = tally
            self._skipped[partition] = deque()

    def skip(self, partition: TopicPartition, reached: int, number: int) -> None:
        """``number`` records in front of ``reached`` were not selected."""
        with self._lock:
            if not number:
                return
            self._skipped[partition].append((reached, number))

    def notes(self, answers: Sequence[Answer], offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, str]:
        """The new tally of each partition, encoded. If the transaction fails, the partition is opened again."""
        with self._lock:
            for answer in answers:
                _enter(self._tallies[answer.item.partition], answer, self._previous)
            for partition, offset in offsets.items():
                waiting = self._skipped[partition]
                while waiting and waiting[0][0] <= offset:
                    self._tallies[partition].count("skipped", waiting.popleft()[1])
            return {partition: self._tallies[partition].encode() for partition in offsets}


def _enter(tally: Tally, answer: Answer, previous: PreviousAnswers | None) -> None:
    outcome = answer.outcome
    if not isinstance(outcome, Labelled):
        tally.count("postponed" if isinstance(outcome, Postponed) else "rejected")
        return
    if answer.publication is None:
        tally.count("withheld")
    else:
        tally.count("labelled" if outcome.certain else "uncertain")
    if previous is not None:
        tally.move(previous.of(answer.item.envelope.source), outcome.top[0].colour)
