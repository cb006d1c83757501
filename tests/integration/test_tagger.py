"""Batches through the tagger: photos from real hosts, models on the real Triton, embeddings in the real Redis."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from redis import Redis

from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support import release_copies as copies
from tests.support.sites import site
from worker import cache, service
from worker.models.repository import MODELS
from worker.settings import ImageSettings, RedisSettings, Settings, TritonSettings
from worker.tagger import Labelled, Outcome, Tagger

RED = events.photo()
DIGEST = sha256(RED).hexdigest()


def settings(triton: TritonServer, redis: str = "") -> Settings:
    """Of a tagger that may call this machine."""
    return Settings(
        triton=TritonSettings(url=triton.grpc),
        redis=RedisSettings(url=redis),
        images=ImageSettings(allowed_private_hosts=("127.0.0.1",)),
    )


def value(*images: dict[str, str], **fields: Any) -> bytes:
    """A record of the topic."""
    return json.dumps(events.listing(uuid.uuid4().hex, *images, **fields)).encode()


def short(outcome: Outcome) -> tuple[str, str | int]:
    """What became of an event: its colour and how many photos that rests on, or the kind of error and its reason."""
    if isinstance(outcome, Labelled):
        return outcome.top[0].colour.value, outcome.images_used
    return type(outcome).__name__, outcome.reason.value


# One photo, several addresses


@pytest.fixture
async def tagger(standin: TritonServer) -> AsyncIterator[Tagger]:
    """Without a cache."""
    async with service.tagging(settings(standin)) as models:
        yield models.tagger


@pytest.fixture
async def host() -> AsyncIterator[tuple[str, Counter[str]]]:
    """A photo host, and how often each path was asked for: ``/red…`` is the photo, ``/other…`` another one."""
    asked = Counter[str]()

    async def handler(request: web.Request) -> web.Response:
        asked[request.path] += 1
        if request.path.startswith("/red"):
            return web.Response(body=RED)
        if request.path.startswith("/other"):
            return web.Response(body=events.photo((20, 60, 200)))
        return web.Response(status=403 if request.path.startswith("/refused") else 404)

    async with site(handler) as address:
        yield address, asked


@pytest.mark.parametrize("bad", ["/missing", "/refused", "/other"])
async def test_where_one_event_s_address_has_no_photo_that_of_another_is_used(
    tagger: Tagger, host: tuple[str, Counter[str]], bad: str
) -> None:
    address, _ = host
    for paths in (["/red", bad], [bad, "/red"], [bad, "/red", f"{bad}?2"]):
        outcomes = await tagger.tag([value({"url": address + path, "sha256": DIGEST}) for path in paths])
        assert [short(outcome) for outcome in outcomes] == [("red", 1)] * len(paths)


async def test_an_address_is_asked_only_where_those_before_it_have_nothing(
    tagger: Tagger, host: tuple[str, Counter[str]]
) -> None:
    address, asked = host
    paths = ["/red-1", "/red-2", "/red-1", "/missing"]
    outcomes = await tagger.tag([value({"url": address + path, "sha256": DIGEST}) for path in paths])
    assert [short(outcome) for outcome in outcomes] == [("red", 1)] * 4
    assert asked == {"/red-1": 1}


async def test_where_no_address_has_the_photo_each_event_has_its_own_error(
    tagger: Tagger, host: tuple[str, Counter[str]]
) -> None:
    address, _ = host
    paths = [["/refused"], ["/missing"], ["/other"], ["/refused", "/missing"]]
    outcomes = await tagger.tag(
        [value(*({"url": address + path, "sha256": DIGEST} for path in several)) for several in paths]
    )
    assert [short(outcome) for outcome in outcomes] == [
        ("Rejected", "photo_refused"),
        ("Postponed", "photo_not_found"),
        ("Rejected", "digest_mismatch"),
        ("Postponed", "photo_not_found"),
    ]
    assert "/missing" in str(outcomes[3])


async def test_one_photo_under_two_addresses_of_a_listing_counts_once(
    tagger: Tagger, host: tuple[str, Counter[str]]
) -> None:
    address, _ = host
    images = [{"url": address + path, "sha256": DIGEST} for path in ("/red", "/missing", "/red-2")]
    (outcome,) = await tagger.tag([value(*images)])
    assert short(outcome) == ("red", 1)


async def test_many_addresses_that_stall_do_not_add_up(tagger: Tagger) -> None:
    """After the first one all others are asked together; none of these answers before the last one is asked."""
    asked = Counter[str]()
    together = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        asked["requests"] += 1
        if request.path == "/0":
            return web.Response(status=404)
        if asked["requests"] == 30:
            together.set()
        await together.wait()
        return web.Response(status=404) if request.path != "/29" else web.Response(body=RED)

    async with site(handler) as address:
        outcomes = await tagger.tag([value({"url": f"{address}/{at}", "sha256": DIGEST}) for at in range(30)])
    assert together.is_set()
    assert [short(outcome) for outcome in outcomes] == [("red", 1)] * 30


# Numbers that are not finite

OVERFLOW = (20, 60, 200)
_BODIES = {
    "image": "rows = super().answer(*inputs)\n"
    "        rows[inputs[0][:, 64, 64, 0] < 100, 0] = np.nan\n"
    "        return rows",
    "text": "rows = super().answer(*inputs)\n"
    "        rows[[b'overflow' in text[0] for text in inputs[0]]] = 1e6\n"
    "        return rows",
    "head": "assert all(np.isfinite(rows).all() for rows in inputs)\n        return super().answer(*inputs)",
}
"""Encoders that overflow, the one for photos without much red, the other for a word; and a head that refuses that."""


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory: pytest.TempPathFactory, triton_installed: None) -> Iterator[TritonServer]:
    """A Triton with these as version 4."""
    folder = tmp_path_factory.mktemp("overflowing")
    repository = copies.copy(folder / "models")
    versions = dict.fromkeys(_BODIES, "4")
    old = repository.config("colour_head").parameters
    values = {
        "image": {"side": "128", "width": "4"},
        "text": {"width": "4"},
        "head": {name: old[f"1/{name}"].string_value for name in ("labels", "threshold")},
    }
    for name, body in _BODIES.items():
        copies.add(repository, name, "4", body, values[name])
        copies.stamp(repository, name, "4")
        config = repository.config(MODELS[name])
        config.version_policy.specific.versions[:] = [4]
        repository.write(MODELS[name], config)
    copies.pair(repository, "4", versions)
    copies.parameters(repository, "release", {"release/active": "image=4 text=4 head=4"})
    server = TritonServer(folder / "triton", repository=repository.folder)
    server.start()
    yield server
    server.stop()


def fresh(colour: tuple[int, int, int]) -> dict[str, str]:
    """An inline photo that no test has shown before, with its digest."""
    data = events.photo(colour, side=90 + uuid.uuid4().int % 40) + uuid.uuid4().bytes
    return {**events.inline(data), "sha256": sha256(data).hexdigest()}


async def test_an_embedding_that_is_not_finite_is_one_photo_s_failure_and_never_cached(
    overflowing: TritonServer, redis: RedisServer
) -> None:
    good, bad = fresh(copies.PALETTE["red"]), fresh(OVERFLOW)
    async with service.tagging(settings(overflowing, redis.url)) as models:
        for _ in range(2):
            outcomes = await models.tagger.tag(
                [value(bad), value(bad, good), value(good), value(good, title="overflow"), value(bad, title="overflow")]
            )
            assert [short(outcome) for outcome in outcomes] == [
                ("Rejected", "unusable_image"),
                ("red", 1),
                ("red", 1),
                ("red", 1),
                ("Rejected", "unusable_image"),
            ]
            assert [outcome.text_used for outcome in outcomes if isinstance(outcome, Labelled)] == [True, True, False]
            assert "not finite" in str(outcomes[0])
        release = await models.releases.current()
    with Redis.from_url(redis.url) as client:
        for photo, times in ((good, 1), (bad, 0)):
            assert client.exists(cache.key(release.image.fingerprint, f"sha256:{photo['sha256']}")) == times
        assert client.exists(cache.key(release.text.fingerprint, "overflow")) == 0


async def test_a_cached_embedding_that_is_not_finite_is_computed_again(
    overflowing: TritonServer, redis: RedisServer
) -> None:
    """Workers once kept such, for a month."""
    photo = fresh(copies.PALETTE["red"])
    async with service.tagging(settings(overflowing, redis.url)) as models:
        release = await models.releases.current()
        name = cache.key(release.image.fingerprint, f"sha256:{photo['sha256']}")
        with Redis.from_url(redis.url) as client:
            client.set(name, cache.pack(np.full(4, np.nan, np.float16)))
            (outcome,) = await models.tagger.tag([value(photo)])
            assert short(outcome) == ("red", 1)
            kept = cache.unpack(client.get(name), 4)
    assert kept is not None
