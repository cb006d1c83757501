"""What an outcome becomes: an output, a retry or a dead letter. Pure; the transaction writes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import worker
from worker.colours import NAMES
from worker.errors import EventError, Postponed, Reason, Rejected
from worker.events import ListingColoured
from worker.stream.envelope import OMITTED, Envelope, Header
from worker.stream.topics import Topics
from worker.tagger import Labelled, Outcome


@dataclass(frozen=True, slots=True)
class Publication:
    """One record to be written."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[Header]


@dataclass(frozen=True, slots=True)
class Publisher:
    """Turns outcomes into records.

    Parameters:
        topics: where they go.
        retry_delays: one for each retry topic.
        run: ``"live"`` or ``"replay/<id>"``; stands in every output.
        max_bytes: a larger original, key and headers included, is not written again; see ``publish``.
    """

    topics: Topics
    retry_delays: tuple[timedelta, ...]
    run: str
    max_bytes: int

    def admitted(self, envelope: Envelope, outcome: Outcome) -> Outcome:
        """``outcome``, or a rejection where the key is too large: an answer has the same one, and fits nowhere."""
        if isinstance(outcome, Labelled) and not self._key_fits(envelope):
            return Rejected(Reason.INVALID_EVENT, f"the record's key is larger than {self.max_bytes} bytes")
        return outcome

    def publish(self, envelope: Envelope, outcome: Outcome, now: datetime) -> Publication:
        """The one record that answers ``envelope``.

        A postponed event goes to the retry topic of its attempt, and after the last one to the dead letters. An
        original that is larger than ``max_bytes``, as a topic of others may hold it, is not written again: it gets no
        retry, and its value is left out of its dead letter, where a header says so, and its headers and its key too
        where they are what is large. It can be read at its source offset.
        """
        if isinstance(outcome, Labelled):
            return Publication(self.topics.coloured, envelope.key, self._coloured(envelope, outcome, now), [])
        if isinstance(outcome, Postponed) and envelope.attempts < len(self.retry_delays) and self._fits(envelope):
            due = now + self.retry_delays[envelope.attempts]
            headers = envelope.retry_headers(outcome, now, due)
            return Publication(self.topics.retries[envelope.attempts], envelope.key, envelope.value, headers)
        return self._dead(envelope, outcome, now)

    def _coloured(self, envelope: Envelope, answer: Labelled, now: datetime) -> bytes:
        best = answer.top[0]
        return (
            ListingColoured(
                event_id=answer.event.event_id,
                listing_id=answer.event.listing_id,
                decision="labelled" if answer.certain else "uncertain",
                colour=best.colour,
                colour_ru=NAMES[best.colour].ru,
                confidence=best.probability,
                top=list(answer.top),
                images_used=answer.images_used,
                text_used=answer.text_used,
                release=answer.release.names,
                source=envelope.source,
                run=self.run,
                labelled_at=now,
            )
            .model_dump_json(by_alias=True)
            .encode()
        )

    def _dead(self, envelope: Envelope, error: EventError, now: datetime) -> Publication:
        value, omitted = envelope.value, []
        if not self._fits(envelope):  # a tombstone may be too large too, by its headers
            omitted = [(OMITTED, str(len(value or b"")).encode())]
            value = None
        if not self._fits(replace(envelope, value=None)):
            envelope = replace(envelope, headers=())
        headers = envelope.dead_headers(error, now, worker.__version__) + omitted
        key = envelope.key if self._key_fits(envelope) else None
        if key is None and value is None:
            key = b""  # kafka-python refuses a record without both
        return Publication(self.topics.dead, key, value, headers)

    def _fits(self, original: Envelope) -> bool:
        return original.size <= self.max_bytes

    def _key_fits(self, original: Envelope) -> bool:
        return len(original.key or b"") <= self.max_bytes
