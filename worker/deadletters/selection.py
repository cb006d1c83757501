"""Which dead letters are meant: by reason, time and listing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from worker.deadletters.letter import DeadLetter
from worker.errors import Reason

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Selection:
    """A dead letter is selected when it fits all that is given.

    Parameters:
        reasons: any of these codes; empty: every one.
        since: written at or after.
        until: written before.
        listing: the listing's id.
    """

    reasons: frozenset[Reason] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    listing: str | None = None

    def __contains__(self, letter: DeadLetter) -> bool:
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.written >= self.since)
            and (self.until is None or letter.written < self.until)
            and (self.listing is None or letter.key == self.listing.encode())
        )


def parse_time(text: str, now: datetime | None = None) -> datetime:
    """``2026-01-31T12:00:00Z``, or ``36h``: so long ago (s, m, h, d, w).

    Raises:
        ValueError: neither; the message says what to write.
    """
    if duration := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", text):
        number, unit = float(duration[1]), _UNITS[duration[2]]
        try:
            return (now or datetime.now(UTC)) - timedelta(**{unit: number})
        except OverflowError:
            raise ValueError(f"{text!r} is longer ago than dates go; write for example 36h or 7d") from None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time; write for example 2026-01-31T12:00:00Z, or 36h for so long ago"
        ) from None
    if time.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; write {text}Z for UTC")
    return time
