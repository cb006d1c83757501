"""Photos as pixels: each from one of its sources, and none fetched twice, however often a batch is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from hashlib import sha256

from worker import images
from worker.errors import EventError, Postponed, Reason, Rejected
from worker.events import Photo
from worker.observe import metrics

Loaded = dict[tuple[Photo, int], images.Pixels | EventError]
"""What came of the sources of one batch, by source and side: pixels uint8 [side, side, 3], or why there are none."""


class PhotoLoader:
    """Fetches and decodes.

    Parameters:
        fetcher: gets photos from strangers' addresses.
        decoders: threads for decoding; Pillow frees the interpreter while it works.
        limits: how large a picture may be.
    """

    def __init__(self, fetcher: images.PhotoFetcher, decoders: ThreadPoolExecutor, limits: images.DecodeLimits) -> None:
        self._fetcher = fetcher
        self._decoders = decoders
        self._limits = limits

    async def load(
        self, sources: Mapping[str, Sequence[Photo]], side: int, loaded: Loaded
    ) -> tuple[dict[str, images.Pixels], dict[Photo, EventError]]:
        """Fetch and decode.

        Parameters:
            sources: where each photo may be had, by its identity; at least one source each.
            side: of the square picture that the encoder takes.
            loaded: sources that are known already, which are asked again only where they had nothing for now (that may
                have been the same outage); those that were asked now are added.

        Returns:
            pixels uint8 [side, side, 3] by identity, and of the other photos why each source has none.
        """
        found = await asyncio.gather(*(self._first(several, side, loaded) for several in sources.values()))
        pixels = {identity: one for identity, one in zip(sources, found, strict=True) if one is not None}
        failures = {
            photo: error
            for identity, several in sources.items()
            if identity not in pixels
            for photo in several
            if isinstance(error := loaded[photo, side], EventError)
        }
        return pixels, failures

    async def _first(self, sources: Sequence[Photo], side: int, loaded: Loaded) -> images.Pixels | None:
        """The first source, and where that has nothing the others, together: in turn, those that stall would add up."""
        for some in (sources[:1], sources[1:]):
            # Nearly every photo has one source, and a task of its own already.
            asked = (self._once(photo, side, loaded) for photo in some)
            for result in [await one for one in asked] if len(some) == 1 else await asyncio.gather(*asked):
                if not isinstance(result, EventError):
                    return result
        return None

    async def _once(self, photo: Photo, side: int, loaded: Loaded) -> images.Pixels | EventError:
        result = loaded.get((photo, side))
        if result is None or isinstance(result, Postponed):
            result = loaded[photo, side] = await self._load(photo, side)
            if isinstance(result, EventError):
                metrics.PHOTO_FAILURES.labels(result.reason.value).inc()
        return result

    async def _load(self, photo: Photo, side: int) -> images.Pixels | EventError:
        try:
            if photo.url is None:
                data = images.decode_inline(photo.data or "", self._limits.max_bytes)
                return await self._decode_in_thread(photo, data, side)
            async with AsyncExitStack() as held:
                with metrics.stage("fetch"):
                    data = await held.enter_async_context(self._fetcher.photo(photo.url))
                return await self._decode_in_thread(photo, data, side)
        except EventError as error:
            return error

    async def _decode_in_thread(self, photo: Photo, data: bytes, side: int) -> images.Pixels:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._decoders, self._decode, photo, data, side)

    def _decode(self, photo: Photo, data: bytes, side: int) -> images.Pixels:
        # A wrong digest must not name the embedding: it would poison the cache for the photo that it belongs to.
        if photo.sha256 is not None and sha256(data).hexdigest() != photo.sha256:
            raise Rejected(Reason.DIGEST_MISMATCH, f"the photo's bytes are not those of sha256 {photo.sha256}")
        with metrics.stage("decode"):
            return images.decode(data, side, limits=self._limits)
