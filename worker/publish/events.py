"""From a draft to an event: ids, digests, and how photos travel."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from worker.events import ListingCreated, Photo
from worker.publish.draft import Draft, Event, Row, Unusable

NAMESPACE = uuid.UUID("8f3c1d52-6a1e-5d0b-9a57-0c1f6e2b7d44")
"""Of the event ids that are made here (RFC 9562, version 5): equal content, equal id."""


@dataclass(frozen=True, slots=True)
class PhotoRoute:
    """How photos that lie on this machine reach the worker.

    Parameters:
        folder: what relative paths are relative to.
        base_url: where a server of the user's own offers that folder.
        inline: put the files' bytes into the events instead.
    """

    folder: Path
    base_url: str | None = None
    inline: bool = False

    def photo(self, reference: str) -> Photo:
        """The photo that an event carries for ``reference``.

        Raises:
            ValueError: the file is not there, or no way was given to send it.
        """
        if reference.startswith(("http://", "https://")):
            return Photo(url=reference)
        file = self.folder / reference
        if self.inline:
            data = _read(file)
            return Photo(data=base64.b64encode(data).decode(), sha256=sha256(data).hexdigest())
        if self.base_url is None:
            raise ValueError(
                f"photo {reference} lies on this machine: add --inline to send its bytes, "
                "or --photos-base-url with the address where the worker finds it"
            )
        # A folder that only the server has is fine; one that is here as well lets the worker check what it downloads.
        digest = sha256(file.read_bytes()).hexdigest() if file.is_file() else None
        return Photo(url=f"{self.base_url.rstrip('/')}/{quote(reference)}", sha256=digest)


def make_event(row: Row, route: PhotoRoute, *, max_bytes: int) -> ListingCreated | Unusable:
    """The event of a row, or why there is none.

    Parameters:
        max_bytes: of the event as JSON; a larger one would not fit into a Kafka record.
    """
    if isinstance(row, Unusable):
        return row
    try:
        event = row.event if isinstance(row, Event) else _from_draft(row, route)
    except ValidationError as error:
        return Unusable(row.where, describe(error))
    except (ValueError, OSError) as error:
        return Unusable(row.where, str(error))
    size = len(encode(event))
    if size > max_bytes:
        return Unusable(
            row.where, f"the event has {size:,} bytes, more than {max_bytes:,}: send photos by --photos-base-url"
        )
    return event


def encode(event: ListingCreated) -> bytes:
    """The event as it stands in Kafka."""
    return event.model_dump_json(by_alias=True, exclude_none=True).encode()


def describe(error: ValidationError) -> str:
    """The first thing that is wrong, with its field."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def event_id(listing_id: str, title: str, description: str, category: str, photos: list[Photo]) -> str:
    """A name for this content: the same listing published again has the same, a changed one another."""
    content = [listing_id, title, description, category, [photo.sha256 or photo.url or photo.data for photo in photos]]
    return str(uuid.uuid5(NAMESPACE, json.dumps(content, ensure_ascii=False, separators=(",", ":"))))


def _from_draft(draft: Draft, route: PhotoRoute) -> ListingCreated:
    if not draft.photos:
        raise ValueError("the listing has no photo")
    photos = [route.photo(reference) for reference in draft.photos]
    return ListingCreated(
        schema="listing.created.v1",
        event_id=event_id(draft.listing_id, draft.title, draft.description, draft.category, photos),
        listing_id=draft.listing_id,
        occurred_at=draft.occurred_at or datetime.now(UTC),
        title=draft.title,
        description=draft.description,
        category=draft.category,
        images=photos,
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"there is no file {file}") from None
