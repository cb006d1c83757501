"""From the demo's listings to records on the topic: good events, and every kind of bad one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from worker.demo.listings import Listing
from worker.events import ListingCreated, Photo
from worker.publish.events import encode, event_id

TEXT_FILE = "clock.jpg"
TRUNCATED_FILE = "carpet.jpg"
_PRIVATE = ("http://169.254.169.254/latest/meta-data/photo.jpg", "http://10.0.0.17/photo.jpg")


def write_broken_files(folder: Path, example: Path) -> None:
    """Put the files there that are no photos.

    Parameters:
        example: a whole JPEG; its first half becomes the truncated one.
    """
    (folder / TEXT_FILE).write_text("This file is named .jpg and holds a text: a lazy export, as they happen.\n")
    whole = example.read_bytes()
    (folder / TRUNCATED_FILE).write_bytes(whole[: len(whole) // 2])


def record(listing: Listing, folder: Path, base_url: str, published: int) -> bytes:
    """The value of the listing's record.

    Parameters:
        folder: where the photos lie.
        base_url: where the photo server offers them.
        published: how often this listing was published before; each time is an event of its own.
    """
    if listing.fault == "malformed JSON":
        return _event(listing, [], published)[:-25]
    if listing.fault == "no id":
        fields = json.loads(_event(listing, [Photo(url=f"{base_url}/{TEXT_FILE}")], published))
        del fields["listing_id"]
        return json.dumps(fields, ensure_ascii=False).encode()
    return _event(listing, _photos(listing, folder, base_url), published)


def _photos(listing: Listing, folder: Path, base_url: str) -> list[Photo]:
    if listing.shot is not None:
        data = (folder / listing.shot.file).read_bytes()
        digest = sha256(data).hexdigest() if listing.digest else None
        if listing.inline:
            return [Photo(data=base64.b64encode(data).decode(), sha256=digest)]
        return [Photo(url=f"{base_url}/{listing.shot.file}", sha256=digest)]
    match listing.fault:
        case "no photo":
            return []
        case "missing photo":
            return [Photo(url=f"{base_url}/not-uploaded-yet-{listing.listing_id}.jpg")]
        case "text named .jpg":
            return [Photo(url=f"{base_url}/{TEXT_FILE}")]
        case "truncated":
            return [Photo(url=f"{base_url}/{TRUNCATED_FILE}")]
        case "private address":
            return [Photo(url=_PRIVATE[int(listing.listing_id[-2:]) % len(_PRIVATE)])]
        case other:
            raise ValueError(f"listing {listing.listing_id} has neither a photo nor a fault that explains it: {other}")


def _event(listing: Listing, photos: list[Photo], published: int) -> bytes:
    name = event_id(listing.listing_id, listing.title, listing.description, listing.category, photos)
    return encode(
        ListingCreated(
            schema="listing.created.v1",
            event_id=f"{name}/{published}",
            listing_id=listing.listing_id,
            occurred_at=datetime.now(UTC),
            title=listing.title,
            description=listing.description,
            category=listing.category,
            images=photos,
        )
    )
