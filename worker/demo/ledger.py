"""What was published and what came back, matched by the place of the event in the topic."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from worker.demo.listings import Listing
from worker.events import ListingColoured

Place = tuple[int, int]
"""Partition and offset in the topic of new listings. The one name that an event without JSON has as well."""

Pass = Literal["burst", "steady", "again"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A listing on its way.

    Parameters:
        at: seconds since the epoch, just before it was handed to the producer.
    """

    listing: Listing
    part: Pass
    at: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What stands in a dead letter's headers, and its value."""

    reason: str
    message: str
    attempts: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A record that a ``read_committed`` reader was given.

    Parameters:
        place: of the event that it answers.
        at: seconds since the epoch, when the reader had it.
    """

    place: Place
    at: float
    content: ListingColoured | DeadLetter


@dataclass(frozen=True, slots=True)
class Answered:
    """A listing with its answer.

    Parameters:
        seconds: from publishing to reading.
    """

    sent: Sent
    content: ListingColoured | DeadLetter
    seconds: float


class Ledger:
    """Thread-safe: the producer's thread, the reader's and the screen's all use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[Place, Sent] = {}
        self._answers: dict[Place, list[Answer]] = {}
        self._order: list[Place] = []
        self._attempts: Counter[Place] = Counter()

    def sent(self, place: Place, sent: Sent) -> None:
        """An event is in the topic."""
        with self._lock:
            self._sent[place] = sent

    def answered(self, answer: Answer) -> None:
        """An output or a dead letter was read; one of an earlier run counts for nothing here."""
        with self._lock:
            self._answers.setdefault(answer.place, []).append(answer)
            self._order.append(answer.place)

    def postponed(self, place: Place) -> None:
        """A record was read in a retry topic."""
        with self._lock:
            self._attempts[place] += 1

    def answers(self, part: Pass | None = None) -> list[Answered]:
        """What is answered, in the order of reading."""
        with self._lock:
            found = []
            for place in self._order:
                sent = self._sent.get(place)
                if sent is not None and part in {None, sent.part}:
                    first = self._answers[place][0]
                    found.append(Answered(sent, first.content, first.at - sent.at))
            return found

    def missing(self, part: Pass | None = None) -> list[Sent]:
        """What is published and not answered."""
        with self._lock:
            return [
                sent for place, sent in self._sent.items() if part in {None, sent.part} and place not in self._answers
            ]

    def waiting(self) -> int:
        """Events that wait for another attempt."""
        with self._lock:
            return sum(place in self._sent and place not in self._answers for place in self._attempts)

    def retried(self) -> int:
        """Events that were postponed at least once."""
        with self._lock:
            return sum(place in self._sent for place in self._attempts)

    def settled(self, part: Pass) -> bool:
        """Whether every event of the part is answered or waits for another attempt."""
        with self._lock:
            return all(
                place in self._answers or place in self._attempts
                for place, sent in self._sent.items()
                if sent.part == part
            )

    def twice(self) -> int:
        """Events of this run with more than one answer: never, if exactly once holds."""
        with self._lock:
            return sum(len(answers) > 1 for place, answers in self._answers.items() if place in self._sent)

    def published(self, part: Pass | None = None) -> int:
        """How many are in the topic."""
        with self._lock:
            return sum(part in {None, sent.part} for sent in self._sent.values())


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a part was answered.

    Parameters:
        per_second: events read per second, from the first one published to the last one read; without those that
            waited for another attempt.
        median, p99: seconds from publishing to reading.
    """

    events: int
    per_second: float
    median: float
    p99: float


def speed(answers: Sequence[Answered]) -> Speed:
    """Of the answers of one part; the ones that were tried again are left out, since their delay is on purpose."""
    prompt = [
        answer for answer in answers if isinstance(answer.content, ListingColoured) or answer.content.attempts == 1
    ]
    if not prompt:
        return Speed(0, 0.0, 0.0, 0.0)
    waits = sorted(answer.seconds for answer in prompt)
    began = min(answer.sent.at for answer in prompt)
    ended = max(answer.sent.at + answer.seconds for answer in prompt)
    return Speed(
        len(prompt),
        len(prompt) / max(ended - began, 1e-3),
        waits[len(waits) // 2],
        waits[min(len(waits) - 1, int(len(waits) * 0.99))],
    )
