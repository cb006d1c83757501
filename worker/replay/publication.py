"""What a replay writes: outputs that name it, and dead letters in a topic of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from worker.replay.previous import PreviousAnswers
from worker.stream.envelope import Envelope
from worker.stream.publication import Publication, Publisher
from worker.stream.topics import Topics
from worker.tagger import Labelled, Outcome

RUN_HEADER = "colour-run"
"""Names the replay on its dead letters. It stands before the dead letter's own headers, among the original's."""


@dataclass(frozen=True, slots=True)
class ReplayPublisher:
    """The live publisher, without retries, and silent about what has not changed.

    Parameters:
        publisher: with no retry delays, so that a postponed event becomes a dead letter, and with the replay's topics.
        previous: the last answers.
        changes_only: an answer with the colour and decision of the last one makes no record.
    """

    publisher: Publisher
    previous: PreviousAnswers | None
    changes_only: bool

    @property
    def topics(self) -> Topics:
        """Where the records go."""
        return self.publisher.topics

    def admitted(self, envelope: Envelope, outcome: Outcome) -> Outcome:
        """As in live traffic."""
        return self.publisher.admitted(envelope, outcome)

    def publish(self, envelope: Envelope, outcome: Outcome, now: datetime) -> Publication | None:
        """The record that answers ``envelope``; ``None`` where nothing changed and only changes are wanted."""
        if isinstance(outcome, Labelled):
            if self.changes_only and self._unchanged(envelope, outcome):
                return None
            return self.publisher.publish(envelope, outcome, now)
        marked = replace(envelope, headers=(*envelope.headers, (RUN_HEADER, self.publisher.run.encode())))
        return self.publisher.publish(marked, outcome, now)

    def _unchanged(self, envelope: Envelope, answer: Labelled) -> bool:
        last = self.previous.of(envelope.source) if self.previous is not None else None
        return last is not None and last.colour is answer.top[0].colour and last.uncertain is not answer.certain
