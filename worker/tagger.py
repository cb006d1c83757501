"""The heart: listings in, outcomes out. Pure asyncio; it knows photos, the cache and Triton, and nothing of Kafka.

A batch goes through six steps, each once for all its listings:

    parse -> look embeddings up -> fetch and decode what is missing -> encode it -> pool per listing -> head

One release answers the whole batch. When one of its versions disappears from Triton in between, the active release is
read again and the batch repeated under it, so an answer never mixes releases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import structlog

from worker import cache
from worker.cache import Embedding, EmbeddingCache
from worker.errors import EventError, Postponed, Reason, Rejected, ReleaseGone, Unavailable
from worker.events import Candidate, ListingCreated, Photo
from worker.images import Pixels
from worker.models import Release, Releases, Triton
from worker.observe import metrics
from worker.photos import Loaded, PhotoLoader, PhotoProcesses
from worker.settings import TaggerSettings

log = structlog.get_logger(__name__)

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
    """A parsed event with what it shows, the identity of each photo, and what it says."""

    event: ListingCreated
    photos: dict[Photo, str]
    text: str


class Tagger:
    """Tags batches of listings.

    Parameters:
        settings: how many photos and how much text of a listing count.
        photos: fetches and decodes them.
        embeddings: the cache.
        triton: the models.
        releases: which versions of them are active.
    """

    def __init__(
        self,
        settings: TaggerSettings,
        *,
        photos: PhotoLoader | PhotoProcesses,
        embeddings: EmbeddingCache,
        triton: Triton,
        releases: Releases,
    ) -> None:
        self._settings = settings
        self._photos = photos
        self._embeddings = embeddings
        self._triton = triton
        self._releases = releases

    async def tag(self, values: Sequence[bytes | None], loaded: Loaded | None = None) -> list[Outcome]:
        """One outcome for each value, in the same order.

        Parameters:
            values: the events as JSON, as they stand in Kafka.
            loaded: what earlier attempts at the same values fetched and decoded, for this one to use and to add to.

        Raises:
            Unavailable: Triton does not answer, or serves no complete release. Nothing of the batch was decided.
        """
        parsed = [self._parse(value) for value in values]
        listings = [item for item in parsed if isinstance(item, _Listing)]
        answers = iter(await self._under_one_release(listings, {} if loaded is None else loaded))
        return [next(answers) if isinstance(item, _Listing) else item for item in parsed]

    async def ping(self) -> None:
        """Ask Triton for the active release and nothing more, before a batch is tried again.

        Raises:
            Unavailable: as ``tag``.
        """
        await self._releases.refresh()

    def processor_seconds(self) -> float:
        """What processes of our own have worked for us so far, in seconds of processor time."""
        return self._photos.processor_seconds()

    def _parse(self, value: bytes | None) -> _Listing | Rejected:
        try:
            event = ListingCreated.parse(value)
        except Rejected as rejection:
            return rejection
        if not event.images:
            return Rejected(Reason.NO_PHOTO, "the listing has no photo")
        text = f"{event.title}\n{event.description}".strip()[: self._settings.max_text]
        photos = {photo: _identity(photo) for photo in event.images[: self._settings.max_photos]}
        return _Listing(event, photos, text)

    async def _under_one_release(self, listings: Sequence[_Listing], loaded: Loaded) -> list[Outcome]:
        if not listings:
            return []
        release = await self._releases.current()
        for _ in range(_REPEATS):
            try:
                return await self._answer(release, listings, loaded)
            except ReleaseGone as error:
                gone = error
                release = await self._releases.refresh()
        raise Unavailable("triton", f"the active release does not answer: {gone}")

    async def _answer(self, release: Release, listings: Sequence[_Listing], loaded: Loaded) -> list[Outcome]:
        sources = _sources(listings)
        texts = {listing.text for listing in listings if listing.text}
        photo_keys = {identity: cache.key(release.image.fingerprint, identity) for identity in sources}
        text_keys = {text: cache.key(release.text.fingerprint, text) for text in texts}

        known = await self._look_up(release, photo_keys.values(), text_keys.values())
        new_texts = [text for text in texts if text_keys[text] not in known]
        new_photos = {identity: some for identity, some in sources.items() if photo_keys[identity] not in known}
        pixels, failures = await self._photos.load(new_photos, release.image.side, loaded)

        with metrics.stage("encode"):
            image_rows, text_rows = await asyncio.gather(
                self._encode_images(release, pixels), self._encode_texts(release, new_texts)
            )
        fresh = {photo_keys[identity]: row for identity, row in image_rows.items()}
        fresh |= {text_keys[text]: row for text, row in text_rows.items()}
        known |= fresh
        failures |= {
            photo: Rejected(Reason.UNUSABLE_IMAGE, "the encoder gave numbers for this photo that are not finite")
            for identity in pixels
            if identity not in image_rows
            for photo in sources[identity]
        }

        shown = [dict.fromkeys(photo_keys[identity] for identity in listing.photos.values()) for listing in listings]
        seen = [[known[key] for key in keys if key in known] for keys in shown]
        said = [known.get(text_keys[listing.text]) if listing.text else None for listing in listings]
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

    async def _encode_images(self, release: Release, pixels: dict[str, Pixels]) -> dict[str, Embedding]:
        if not pixels:
            return {}
        rows = await self._triton.embed_images(release.image.version, np.stack(list(pixels.values())))
        return _finite("image", pixels, rows)

    async def _encode_texts(self, release: Release, texts: list[str]) -> dict[str, Embedding]:
        if not texts:
            return {}
        return _finite("text", texts, await self._triton.embed_texts(release.text.version, texts))

    async def _decide(
        self,
        release: Release,
        listings: Sequence[_Listing],
        seen: Sequence[list[Embedding]],
        said: Sequence[Embedding | None],
        failures: dict[Photo, EventError],
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


def _sources(listings: Sequence[_Listing]) -> dict[str, list[Photo]]:
    """Where each photo may be had, by its identity: several events may name one photo by different addresses."""
    sources: dict[str, list[Photo]] = {}
    for photo, identity in {photo: at for listing in listings for photo, at in listing.photos.items()}.items():
        sources.setdefault(identity, []).append(photo)
    return sources


def _finite(encoder: str, names: Iterable[str], rows: npt.NDArray[np.float32]) -> dict[str, Embedding]:
    """By name what the cache may hold, float16 [width]: not a row with a number that is infinite or none at all."""
    with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinite
        halves = rows.astype(np.float16)
    finite = {name: row for name, row in zip(names, halves, strict=True) if np.isfinite(row).all()}
    if len(finite) < len(rows):
        log.warning("embeddings_not_finite", encoder=encoder, rows=len(rows) - len(finite))
    return finite


def _without_photo(listing: _Listing, failures: dict[Photo, EventError]) -> Postponed | Rejected:
    """Why a listing has no usable photo: for now, if any of its own may come later; else for good."""
    errors = [failures[photo] for photo in listing.photos if photo in failures]
    for error in errors:
        if isinstance(error, Postponed):
            return error
    return errors[0] if errors and isinstance(errors[0], Rejected) else Rejected(Reason.NO_PHOTO, "no usable photo")
