"""The photos of listings, small enough for a page: fetched and decoded with the same care as a worker takes."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Iterable

from PIL import Image

from worker import images
from worker.errors import EventError
from worker.events import ListingCreated, Photo
from worker.settings import ImageSettings

SIDE = 320
"""Pixels; twice what a card is wide, for dense screens."""


async def thumbnails(
    settings: ImageSettings, fetcher: images.PhotoFetcher, listings: Iterable[ListingCreated]
) -> dict[str, str]:
    """Event id -> the listing's first usable photo as a data URI; without those that have none (any more)."""
    limits = images.DecodeLimits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
    several = list(listings)
    async with fetcher:
        found = await asyncio.gather(*(_first(fetcher, limits, listing) for listing in several))
    return {listing.event_id: uri for listing, uri in zip(several, found, strict=True) if uri}


async def _first(fetcher: images.PhotoFetcher, limits: images.DecodeLimits, listing: ListingCreated) -> str:
    for photo in listing.images:
        try:
            return await _thumbnail(fetcher, limits, photo)
        except EventError:
            continue  # gone since, or never usable: the next one may do
    return ""


async def _thumbnail(fetcher: images.PhotoFetcher, limits: images.DecodeLimits, photo: Photo) -> str:
    if photo.url is None:
        data = images.decode_inline(photo.data or "", limits.max_bytes)
        return await asyncio.to_thread(_encode, data, limits)
    async with fetcher.photo(photo.url) as data:
        return await asyncio.to_thread(_encode, data, limits)


def _encode(data: bytes, limits: images.DecodeLimits) -> str:
    buffer = io.BytesIO()
    Image.fromarray(images.decode(data, SIDE, limits=limits)).save(buffer, "WEBP", quality=76)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
