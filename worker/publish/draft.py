"""A listing as a source knows it, before it is an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.events import ListingCreated


@dataclass(frozen=True, slots=True)
class Draft:
    """One listing of a source.

    Parameters:
        where: line or file, for a person who looks for it.
        photos: in order; an http(s) address, or a path of this machine, relative to the source's folder of photos.
        occurred_at: when the source says so.
    """

    where: str
    listing_id: str
    title: str = ""
    description: str = ""
    category: str = ""
    photos: tuple[str, ...] = ()
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event that stands in the source as it is to be published: ids and photos stay as they are."""

    where: str
    event: ListingCreated


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row that makes no event. A value, not an exception: one row's trouble is no other's.

    Parameters:
        where: line or file.
        why: one sentence.
    """

    where: str
    why: str


Row = Draft | Event | Unusable
