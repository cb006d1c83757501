"""One dead letter: the original record, and why it was given up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from worker.events import Source
from worker.stream.envelope import DEAD, OMITTED, Header, headers_of, timestamp_of


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic.

    Parameters:
        partition, offset: where it stands.
        written: its Kafka timestamp.
        key, value, headers: the original's; ours are taken off.
        reason: a code of ``worker.errors.Reason``, or one that a newer worker knows.
        message: one sentence, without payload.
        attempts: how often the event was tried, >= 1.
        first_failure: when the first attempt failed.
        source: the original record.
        version: of the worker that gave it up.
        omitted: bytes of the value (0: a tombstone) of an original that was too large to be kept here; ``value`` is
            then ``None``.
    """

    partition: int
    offset: int
    written: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    reason: str
    message: str
    attempts: int
    first_failure: datetime
    source: Source
    version: str
    omitted: int | None = None

    @classmethod
    def open(cls, record: Any) -> Self | None:
        """Read a kafka-python ``ConsumerRecord``; ``None`` when no worker of ours wrote it."""
        headers = headers_of(record)
        omitted = None
        if headers and headers[-1][0] == OMITTED:
            omitted = int(headers[-1][1])
            headers = headers[:-1]
        # Ours come last; a header of the same name further up is the publisher's, and stays with the original.
        split = len(headers) - len(DEAD)
        ours = {name: value.decode("utf-8", "replace") for name, value in headers[split:]} if split >= 0 else {}
        if set(ours) != DEAD:
            return None
        return cls(
            partition=record.partition,
            offset=record.offset,
            written=timestamp_of(record),
            key=record.key,
            value=record.value,
            headers=headers[:split],
            reason=ours["colour-reason"],
            message=ours["colour-message"],
            attempts=int(ours["colour-attempts"]),
            first_failure=datetime.fromisoformat(ours["colour-first-failure"]),
            source=Source(
                topic=ours["colour-source-topic"],
                partition=int(ours["colour-source-partition"]),
                offset=int(ours["colour-source-offset"]),
                timestamp=datetime.fromisoformat(ours["colour-source-timestamp"]),
            ),
            version=ours["colour-worker-version"],
            omitted=omitted,
        )

    @property
    def place(self) -> str:
        """``<partition>:<offset>``, as ``deadletters show`` takes it."""
        return f"{self.partition}:{self.offset}"

    @property
    def listing(self) -> str:
        """The key, which is the listing's id; bytes that are not UTF-8 are replaced."""
        return (self.key or b"").decode("utf-8", "replace")

    def without_value(self) -> Self:
        """The same without the original's bytes, of which a long list would hold too many."""
        return replace(self, value=None)
