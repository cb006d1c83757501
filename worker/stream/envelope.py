"""A consumed record and its history: what travels in headers when an event is tried again or given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.errors import EventError
from worker.events import Source

PREFIX = "colour-"
"""Every header that we add begins so; the original headers stay as they were."""

Header = tuple[str, bytes]

_EPOCH = datetime.fromtimestamp(0, UTC)
_LAST_MILLISECOND = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One record.

    Parameters:
        key, value, headers: as the publisher wrote them, except that a header without a value has an empty one.
        source: the record of the event's first appearance, also after retries.
        attempts: how often it was tried before.
        first_failure: when the first of those failed.
        due: not to be tried before.
    """

    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    source: Source
    attempts: int = 0
    first_failure: datetime | None = None
    due: datetime | None = None

    @classmethod
    def open(cls, record: Any, *, retried: bool) -> Envelope:
        """Read a kafka-python ``ConsumerRecord``.

        Parameters:
            retried: it comes from a topic that only we write to; elsewhere our headers are a stranger's words and
                count as theirs.
        """
        headers = headers_of(record)
        here = Source(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=timestamp_of(record),
        )
        # Ours come last; a stranger's header of the same name, further up, is none of ours.
        split = len(headers) - len(_HISTORY)
        ours = {name: value.decode() for name, value in headers[split:]} if retried and split >= 0 else {}
        if set(ours) != _HISTORY:
            return cls(record.key, record.value, headers, here)
        return cls(
            key=record.key,
            value=record.value,
            headers=headers[:split],
            source=Source(
                topic=ours["colour-source-topic"],
                partition=int(ours["colour-source-partition"]),
                offset=int(ours["colour-source-offset"]),
                timestamp=datetime.fromisoformat(ours["colour-source-timestamp"]),
            ),
            attempts=int(ours["colour-attempts"]),
            first_failure=datetime.fromisoformat(ours["colour-first-failure"]),
            due=datetime.fromisoformat(ours["colour-due"]),
        )

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        headers = sum(len(name.encode()) + len(value) for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers

    def retry_headers(self, error: EventError, now: datetime, due: datetime) -> list[Header]:
        """The original headers, then the history that ``open`` reads."""
        return [*self.headers, *self._history(error, now), _header("colour-due", due.isoformat())]

    def dead_headers(self, error: EventError, now: datetime, version: str) -> list[Header]:
        """The original headers, then why, where from, how often and since when."""
        return [*self.headers, *self._history(error, now), _header("colour-worker-version", version)]

    def _history(self, error: EventError, now: datetime) -> list[Header]:
        values = {
            "colour-reason": error.reason.value,
            "colour-message": error.message,
            "colour-attempts": str(self.attempts + 1),
            "colour-first-failure": (self.first_failure or now).isoformat(),
            "colour-source-topic": self.source.topic,
            "colour-source-partition": str(self.source.partition),
            "colour-source-offset": str(self.source.offset),
            "colour-source-timestamp": self.source.timestamp.isoformat(),
        }
        return [_header(name, value) for name, value in values.items()]


_HISTORY = frozenset(
    {
        "colour-reason",
        "colour-message",
        "colour-attempts",
        "colour-first-failure",
        "colour-source-topic",
        "colour-source-partition",
        "colour-source-offset",
        "colour-source-timestamp",
        "colour-due",
    }
)


DEAD = (_HISTORY - {"colour-due"}) | {"colour-worker-version"}
"""What ``dead_headers`` adds to the original headers, at their end."""

OMITTED = "colour-value-omitted-bytes"
"""Stands behind those of ``DEAD`` when the original was too large for its dead letter: how large its value was."""


def _header(name: str, value: str) -> Header:
    return name, value.encode("utf-8", "replace")


def headers_of(record: Any) -> tuple[Header, ...]:
    """The headers of a kafka-python ``ConsumerRecord``, fit to be written again.

    A header's value may be null in Kafka. kafka-python reads that as ``None`` and refuses to write it, so it is empty.
    """
    return tuple((name, value or b"") for name, value in record.headers)


def timestamp_of(record: Any) -> datetime:
    """The time of a kafka-python ``ConsumerRecord``, between 1970 and 9999.

    Kafka keeps any 64-bit number that a publisher wrote, for example microseconds where milliseconds are meant, which
    are dates beyond the year 50000; -1 stands for none. No such number may cost the event its answer.
    """
    return _EPOCH + timedelta(milliseconds=min(max(record.timestamp, 0), _LAST_MILLISECOND))
