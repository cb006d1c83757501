"""Photos as pixels: each from one of its sources, and none fetched twice, however often a batch is repeated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from worker import images
from worker.errors import ConfigurationError, EventError, Postponed, Reason, Rejected
from worker.events import Photo
from worker.observe import metrics
from worker.settings import ImageSettings

Loaded = dict[tuple[Photo, int], images.Pixels | EventError]
"""What came of the sources of one batch, by source and side: pixels uint8 [side, side, 3], or why there are none."""

Found = tuple[dict[str, images.Pixels], dict[Photo, EventError]]
"""Pixels uint8 [side, side, 3] by identity, and of the other photos why each source has none."""


class Report(Protocol):
    """Who is told how photos fare."""

    def took(self, stage: str, seconds: float) -> None:
        """One photo was fetched or decoded, or could not be."""

    def failed(self, reason: Reason) -> None:
        """One source has no photo that can be used."""


class Metrics:
    """A report to this process's own metrics."""

    def took(self, stage: str, seconds: float) -> None:
        metrics.STAGE.labels(stage).observe(seconds)

    def failed(self, reason: Reason) -> None:
        metrics.PHOTO_FAILURES.labels(reason.value).inc()


class PhotoLoader:
    """Fetches and decodes on the event loop that it is used in.

    Parameters:
        fetcher: gets photos from strangers' addresses.
        decoders: threads for decoding; Pillow frees the interpreter while it works.
        limits: how large a picture may be.
        report: who is told.
    """

    def __init__(
        self,
        fetcher: images.PhotoFetcher,
        decoders: ThreadPoolExecutor,
        limits: images.DecodeLimits,
        report: Report | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._decoders = decoders
        self._limits = limits
        self._report = report or Metrics()

    async def load(self, sources: Mapping[str, Sequence[Photo]], side: int, loaded: Loaded) -> Found:
        """Fetch and decode.

        Parameters:
            sources: where each photo may be had, by its identity; at least one source each.
            side: of the square picture that the encoder takes.
            loaded: sources that are known already, which are asked again only where they had nothing for now (that may
                have been the same outage); those that were asked now are added.
        """
        await asyncio.gather(
            *(self._first(several, side, loaded) for several in lacking(sources, side, loaded).values())
        )
        return found(sources, side, loaded)

    def processor_seconds(self) -> float:
        """What other processes spend on this one's photos: nothing."""
        return 0.0

    async def _first(self, sources: Sequence[Photo], side: int, loaded: Loaded) -> None:
        """The first source, and where that has nothing the others, together: in turn, those that stall would add up."""
        for some in (sources[:1], sources[1:]):
            # Nearly every photo has one source, and a task of its own already.
            asked = (self._once(photo, side, loaded) for photo in some)
            for result in [await one for one in asked] if len(some) == 1 else await asyncio.gather(*asked):
                if not isinstance(result, EventError):
                    return

    async def _once(self, photo: Photo, side: int, loaded: Loaded) -> images.Pixels | EventError:
        result = loaded.get((photo, side))
        if result is None or isinstance(result, Postponed):
            result = loaded[photo, side] = await self._load(photo, side)
            if isinstance(result, EventError):
                self._report.failed(result.reason)
        return result

    async def _load(self, photo: Photo, side: int) -> images.Pixels | EventError:
        try:
            if photo.url is None:
                data = images.decode_inline(photo.data or "", self._limits.max_bytes)
                return await self._decode_in_thread(photo, data, side)
            async with AsyncExitStack() as held:
                with self._timed("fetch"):
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
        with self._timed("decode"):
            return images.decode(data, side, limits=self._limits)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._report.took(stage, time.perf_counter() - started)


def lacking(sources: Mapping[str, Sequence[Photo]], side: int, loaded: Loaded) -> dict[str, Sequence[Photo]]:
    """The photos that no source has given pixels of yet."""
    return {
        identity: several
        for identity, several in sources.items()
        if all(isinstance(loaded.get((photo, side)), EventError | None) for photo in several)
    }


def found(sources: Mapping[str, Sequence[Photo]], side: int, loaded: Loaded) -> Found:
    """Of what was loaded, what these photos make use of: the first source that has pixels."""
    pixels: dict[str, images.Pixels] = {}
    failures: dict[Photo, EventError] = {}
    for identity, several in sources.items():
        failed = {}
        for photo in several:
            result = loaded.get((photo, side))
            if isinstance(result, EventError):
                failed[photo] = result
            elif result is not None:
                pixels[identity] = result
                break
        else:
            failures |= failed
    return pixels, failures


@asynccontextmanager
async def loading(
    settings: ImageSettings, report: Report | None = None, *, share: int = 1, turns: Path | None = None
) -> AsyncIterator[PhotoLoader]:
    """A loader with a fetcher and decoders of its own, open until the context ends.

    Parameters:
        report: who is told how photos fare; by default this process's metrics.
        share: processes that load photos for one worker. Threads, requests and memory are the worker's, and each has an
            equal part.
        turns: see ``DecodeLimits``.

    Raises:
        ConfigurationError: a host is not written as a bare host.
    """
    limits = images.DecodeLimits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels, share=share, turns=turns)
    async with AsyncExitStack() as stack:
        fetcher = await stack.enter_async_context(make_fetcher(settings, share))
        decoders = stack.enter_context(ThreadPoolExecutor(-(-settings.decode_threads // share), "decode"))
        yield PhotoLoader(fetcher, decoders, limits, report)


def make_fetcher(settings: ImageSettings, share: int = 1) -> images.PhotoFetcher:
    """The fetcher that the settings describe.

    Parameters:
        share: as of ``loading``.

    Raises:
        ConfigurationError: a host is not written as a bare host.
    """
    try:
        policy = images.AddressPolicy(
            allowed_private_hosts=frozenset(settings.allowed_private_hosts),
            allowed_hosts=frozenset(settings.allowed_hosts),
            denied_hosts=frozenset(settings.denied_hosts),
            allowed_ports=frozenset(settings.allowed_ports),
        )
    except ValueError as error:
        raise ConfigurationError(f"COLOUR_IMAGES__…: {error}") from None
    whole = images.FetchLimits(
        connect_timeout=settings.connect_timeout,
        first_byte_timeout=settings.first_byte_timeout,
        total_timeout=settings.total_timeout,
        max_bytes=settings.max_bytes,
        max_per_host=max(1, settings.max_per_host // share),
        max_connections=max(1, settings.max_connections // share),
    )
    limits = replace(whole, max_bytes_in_flight=whole.max_bytes_in_flight // share)
    return images.PhotoFetcher(limits=limits, policy=policy)
