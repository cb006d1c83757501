"""The heart: listings in, outcomes out. Pure asyncio; it knows photos, the cache and Triton, and nothing of Kafka.

A batch goes through six steps, each once for all its listings:

    parse -> look embeddings up -> fetch and decode what is missing -> encode it -> pool per listing -> head

One release answers the whole batch. When one of its versions disappears from Triton in between, the active release is
read again and the batch repeated under it, so an answer never mixes releases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from worker import cache, images
from worker.cache import Embedding, EmbeddingCache
from worker.errors import EventError, Postponed, Reason, Rejected, ReleaseGone, Unavailable
from worker.events import Candidate, ListingCreated, Photo
from worker.models import Release, Releases, Triton
from worker.observe import metrics
from worker.settings import TaggerSettings

_REPEATS = 4
"""How often a batch is repeated because its release disappeared, before Triton counts as away."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A listing's colour.

    Parameters:
        event: the listing.
        top: the most probable colours, best first.
        certain: whether the best reaches the release's threshold.
        images_used: photos that the answer rests on, >= 1.
        text_used: whether title or description had a say.
        release: what answered.
    """

    event: ListingCreated
    top: tuple[Candidate, ...]
    certain: bool
    images_used: int
    text_used: bool
    release: Release


Outcome = Labelled | Postponed | Rejected
"""One for each event. The two errors are values here: one event's trouble is no other's."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """A parsed event with the identities of what it shows and says."""

    event: ListingCreated
    photos: dict[str, Photo]
    text: str


class Tagger:
    """Tags batches of listings.

    Parameters:
        settings: how many photos and how much text of a listing count.
        fetcher: gets photos from strangers' addresses.
        embeddings: the cache.
        triton: the models.
        releases: which versions of them are active.
        decoders: threads for decoding; Pillow frees the interpreter while it works.
        decode_limits: how large a picture may be.
    """

    def __init__(
        self,
        settings: TaggerSettings,
        *,
        fetcher: images.PhotoFetcher,
        embeddings: EmbeddingCache,
        triton: Triton,
        releases: Releases,
        decoders: ThreadPoolExecutor,
        decode_limits: images.DecodeLimits,
    ) -> None:
        self._settings = settings
        self._fetcher = fetcher
        self._embeddings = embeddings
        self._triton = triton
        self._releases = releases
        self._decoders = decoders
        self._decode_limits = decode_limits

    async def tag(self, values: Sequence[bytes | None]) -> list[Outcome]:
        """One outcome for each value, in the same order.

        Parameters:
            values: the events as JSON, as they stand in Kafka.

        Raises:
            Unavailable: Triton does not answer, or serves no complete release. Nothing of the batch was decided.
        """
        parsed = [self._parse(value) for value in values]
        listings = [item for item in parsed if isinstance(item, _Listing)]
        answers = iter(await self._under_one_release(listings))
        return [next(answers) if isinstance(item, _Listing) else item for item in parsed]

    def _parse(self, value: bytes | None) -> _Listing | Rejected:
        try:
            event = ListingCreated.parse(value)
        except Rejected as rejection:
            return rejection
        if not event.images:
            return Rejected(Reason.NO_PHOTO, "the listing has no photo")
        text = f"{event.title}\n{event.description}".strip()[: self._settings.max_text]
        photos = {_identity(photo): photo for photo in event.images[: self._settings.max_photos]}
        return _Listing(event, photos, text)

    async def _under_one_release(self, listings: Sequence[_Listing]) -> list[Outcome]:
        if not listings:
            return []
        release = await self._releases.current()
        for _ in range(_REPEATS):
            try:
                return await self._answer(release, listings)
            except ReleaseGone as error:
                gone = error
                release = await self._releases.refresh()
        raise Unavailable("triton", f"the active release does not answer: {gone}")

    async def _answer(self, release: Release, listings: Sequence[_Listing]) -> list[Outcome]:
        photos = {identity: photo for listing in listings for identity, photo in listing.photos.items()}
        texts = {listing.text for listing in listings if listing.text}
        photo_keys = {identity: cache.key(release.image.fingerprint, identity) for identity in photos}
        text_keys = {text: cache.key(release.text.fingerprint, text) for text in texts}

        known = await self._look_up(release, photo_keys.values(), text_keys.values())
        new_texts = [text for text in texts if text_keys[text] not in known]
        pixels, failures = await self._load(
            {identity: photo for identity, photo in photos.items() if photo_keys[identity] not in known},
            release.image.side,
        )

        with metrics.stage("encode"):
            image_rows, text_rows = await asyncio.gather(
                self._encode_images(release, list(pixels.values())), self._encode_texts(release, new_texts)
            )
        fresh = {photo_keys[identity]: row for identity, row in zip(pixels, image_rows, strict=True)}
        fresh |= {text_keys[text]: row for text, row in zip(new_texts, text_rows, strict=True)}
        known |= fresh

        seen = [[known[key] for i in listing.photos if (key := photo_keys[i]) in known] for listing in listings]
        said = [known[text_keys[listing.text]] if listing.text else None for listing in listings]
        # The answer does not wait for the cache, but the batch does: what is told of it is in Redis.
        storing = asyncio.create_task(self._store(fresh))
        try:
            return await self._decide(release, listings, seen, said, failures)
        finally:
            await storing

    async def _store(self, fresh: dict[str, Embedding]) -> None:
        if fresh:
            with metrics.stage("cache"):
                await self._embeddings.set_many(fresh)

    async def _look_up(
        self, release: Release, photo_keys: Iterable[str], text_keys: Iterable[str]
    ) -> dict[str, Embedding]:
        photo_keys, text_keys = list(photo_keys), list(text_keys)
        keys = photo_keys + text_keys
        widths = [release.image.width] * len(photo_keys) + [release.text.width] * len(text_keys)
        with metrics.stage("cache"):
            found = await self._embeddings.get_many(keys, widths)
        known = {key: value for key, value in zip(keys, found, strict=True) if value is not None}
        for kind, asked in (("image", photo_keys), ("text", text_keys)):
            hits = sum(key in known for key in asked)
            metrics.CACHE.labels(kind, "hit").inc(hits)
            metrics.CACHE.labels(kind, "miss").inc(len(asked) - hits)
        return known

    async def _load(
        self, photos: dict[str, Photo], side: int
    ) -> tuple[dict[str, npt.NDArray[np.uint8]], dict[str, EventError]]:
        """Fetch and decode: pixels uint8 [side, side, 3] by identity, and why the others have none."""
        results = await asyncio.gather(*(self._load_one(photo, side) for photo in photos.values()))
        pixels: dict[str, npt.NDArray[np.uint8]] = {}
        failures: dict[str, EventError] = {}
        for identity, result in zip(photos, results, strict=True):
            if isinstance(result, EventError):
                metrics.PHOTO_FAILURES.labels(result.reason.value).inc()
                failures[identity] = result
            else:
                pixels[identity] = result
        return pixels, failures

    async def _load_one(self, photo: Photo, side: int) -> npt.NDArray[np.uint8] | EventError:
        try:
            if photo.url is None:
                data = images.decode_inline(photo.data or "", self._decode_limits.max_bytes)
                return await self._decode_in_thread(photo, data, side)
            async with AsyncExitStack() as held:
                with metrics.stage("fetch"):
                    data = await held.enter_async_context(self._fetcher.photo(photo.url))
                return await self._decode_in_thread(photo, data, side)
        except EventError as error:
            return error

    async def _decode_in_thread(self, photo: Photo, data: bytes, side: int) -> npt.NDArray[np.uint8]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._decoders, self._decode, photo, data, side)

    def _decode(self, photo: Photo, data: bytes, side: int) -> npt.NDArray[np.uint8]:
        # A wrong digest must not name the embedding: it would poison the cache for the photo that it belongs to.
        if photo.sha256 is not None and sha256(data).hexdigest() != photo.sha256:
            raise Rejected(Reason.DIGEST_MISMATCH, f"the photo's bytes are not those of sha256 {photo.sha256}")
        with metrics.stage("decode"):
            return images.decode(data, side, limits=self._decode_limits)

    async def _encode_images(self, release: Release, pixels: list[npt.NDArray[np.uint8]]) -> list[Embedding]:
        if not pixels:
            return []
        rows = await self._triton.embed_images(release.image.version, np.stack(pixels))
        return list(rows.astype(np.float16))

    async def _encode_texts(self, release: Release, texts: list[str]) -> list[Embedding]:
        if not texts:
            return []
        rows = await self._triton.embed_texts(release.text.version, texts)
        return list(rows.astype(np.float16))

    async def _decide(
        self,
        release: Release,
        listings: Sequence[_Listing],
        seen: Sequence[list[Embedding]],
        said: Sequence[Embedding | None],
        failures: dict[str, EventError],
    ) -> list[Outcome]:
        usable = [row for row, embeddings in enumerate(seen) if embeddings]
        answers: dict[int, Labelled] = {}
        if usable:
            silent = np.zeros(release.text.width, dtype=np.float16)
            with metrics.stage("head"):
                probabilities = await self._triton.probabilities(
                    release.head.version,
                    pool([seen[row] for row in usable]),
                    np.stack([silent if (text := said[row]) is None else text for row in usable]).astype(np.float32),
                )
            for row, top, certain in zip(usable, *self._best(release, probabilities), strict=True):
                used = len(seen[row])
                answers[row] = Labelled(listings[row].event, top, certain, used, said[row] is not None, release)
        return [answers.get(row) or _without_photo(listing, failures) for row, listing in enumerate(listings)]

    def _best(
        self, release: Release, probabilities: npt.NDArray[np.float32]
    ) -> tuple[list[tuple[Candidate, ...]], list[bool]]:
        """For each row of ``probabilities``, float32 [n, labels]: its best candidates, and whether the first is sure.

        Once for the whole batch: numpy's price for a call is that of some fifty numbers.
        """
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, : self._settings.top]
        shares = np.take_along_axis(probabilities, best, axis=1).astype(np.float64)
        labels = release.head.labels
        tops = [
            tuple(
                Candidate(colour=labels[label], probability=share) for label, share in zip(chosen, shown, strict=True)
            )
            for chosen, shown in zip(best.tolist(), shares.round(4).tolist(), strict=True)
        ]
        return tops, (shares[:, 0] >= release.head.threshold).tolist()


def pool(groups: Sequence[Sequence[Embedding]]) -> npt.NDArray[np.float32]:
    """The photos of each listing, float16 [width] each and at least one -> one embedding of length 1 for each listing.

    Returns:
        float32 [listings, width], rounded to float16 as the cache would hold it.
    """
    sizes = np.array([len(group) for group in groups])
    rows = np.stack([embedding for group in groups for embedding in group]).astype(np.float32)
    sums = np.add.reduceat(rows, np.concatenate(([0], np.cumsum(sizes)[:-1])), axis=0)
    means = sums / sizes[:, None].astype(np.float32)
    lengths = np.maximum(np.sqrt(np.square(means).sum(axis=1, keepdims=True)), np.float32(1e-12))
    return np.asarray(means / lengths, dtype=np.float16).astype(np.float32)


def _identity(photo: Photo) -> str:
    """What a photo is called in the cache: its digest if given, else its (immutable) address, else its bytes."""
    if photo.sha256 is not None:
        return f"sha256:{photo.sha256}"
    if photo.url is not None:
        return f"url:{photo.url}"
    return f"inline:{sha256((photo.data or '').encode()).hexdigest()}"


def _without_photo(listing: _Listing, failures: dict[str, EventError]) -> Postponed | Rejected:
    """Why a listing has no usable photo: for now, if any of them may come later; else for good."""
    errors = [failures[identity] for identity in listing.photos if identity in failures]
    for error in errors:
        if isinstance(error, Postponed):
            return error
    return errors[0] if errors and isinstance(errors[0], Rejected) else Rejected(Reason.NO_PHOTO, "no usable photo")
