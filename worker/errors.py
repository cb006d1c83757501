"""Every error of the worker, in one place. The kind decides what happens to an event:

ColourTaggerError
├── Rejected      permanent, this event        -> dead letter at once, with a reason
├── Postponed     for now, this event          -> retry topic with a growing delay, then dead letter
├── Unavailable   for now, a whole neighbour   -> partitions pause, nothing is lost, never a dead letter
├── ReleaseGone   a pinned model version left  -> the active release is read again, the batch repeated under it
└── ConfigurationError   the operator's to mend -> the process says what to do and exits
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why an event was rejected or postponed: stable codes, for headers, metrics and filters."""

    MALFORMED_JSON = "malformed_json"
    INVALID_EVENT = "invalid_event"
    NO_PHOTO = "no_photo"
    BLOCKED_ADDRESS = "blocked_address"
    INVALID_URL = "invalid_url"
    PHOTO_NOT_FOUND = "photo_not_found"
    PHOTO_HOST_ERROR = "photo_host_error"
    PHOTO_TIMEOUT = "photo_timeout"
    PHOTO_REFUSED = "photo_refused"
    PHOTO_TOO_LARGE = "photo_too_large"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    NOT_AN_IMAGE = "not_an_image"
    TRUNCATED_IMAGE = "truncated_image"
    DECOMPRESSION_BOMB = "decompression_bomb"
    UNUSABLE_IMAGE = "unusable_image"
    DIGEST_MISMATCH = "digest_mismatch"
    INTERNAL_ERROR = "internal_error"


class ColourTaggerError(Exception):
    """The root of all errors that the worker raises on purpose."""


class EventError(ColourTaggerError):
    """Something about one event; see the two kinds below.

    Parameters:
        reason: the stable code.
        message: one sentence for a person, with the value that was wrong, cut to a bounded length.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message[:500]

    def __reduce__(self) -> tuple[type[Self], tuple[Reason, str]]:
        # Between processes: left to itself an exception is made anew from its message alone.
        return type(self), (self.reason, self.message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason.value!r}, {self.message!r})"


class Rejected(EventError):
    """Permanent: the same event would fail again tomorrow."""


class Postponed(EventError):
    """The same event may succeed later: its photo host is slow, broken, or does not have the photo yet."""


class Unavailable(ColourTaggerError):
    """A neighbour that every event needs does not answer.

    Parameters:
        neighbour: ``"triton"``, ``"kafka"`` or ``"photos"`` (the processes that load them).
        message: what it said.
    """

    def __init__(self, neighbour: str, message: str) -> None:
        super().__init__(f"{neighbour}: {message}")
        self.neighbour = neighbour


class ReleaseGone(ColourTaggerError):
    """A model version that was pinned is not served (any more): read the active release again and repeat."""


class ConfigurationError(ColourTaggerError):
    """A setting or a model repository that cannot work; the message says what to write instead."""
