"""Redirects and names that lead elsewhere: no address is called that was not checked."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.support.sites import (
    LOOPBACK,
    PHOTO,
    failure,
    photo,
    redirecting,
    site,
    wire,
)
from worker.errors import Postponed, Reason, Rejected
from worker.images import AddressPolicy, PhotoFetcher


async def test_three_redirects_are_followed_and_a_fourth_is_not() -> None:
    async with site(redirecting("/1", "2", "?again")) as address, PhotoFetcher(policy=LOOPBACK) as fetcher:
        with pytest.raises(Rejected) as caught:
            await fetcher.fetch(f"{address}/0")
        assert caught.value.reason is Reason.TOO_MANY_REDIRECTS
    async with site(redirecting("/1", "2", "/photo")) as address, PhotoFetcher(policy=LOOPBACK) as fetcher:
        assert await fetcher.fetch(f"{address}/0") == PHOTO


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data/?SECRET", Reason.BLOCKED_ADDRESS),
        ("http://127.0.0.2/", Reason.BLOCKED_ADDRESS),
        ("http://localhost/", Reason.BLOCKED_ADDRESS),
        ("http://[::ffff:127.0.0.1]:9/", Reason.BLOCKED_ADDRESS),
        ("http://[::1]/", Reason.BLOCKED_ADDRESS),
        ("//10.0.0.1/", Reason.BLOCKED_ADDRESS),
        ("http://2130706433/", Reason.INVALID_URL),
        ("http://user:SECRET@127.0.0.1/", Reason.INVALID_URL),
        ("file:///etc/passwd", Reason.INVALID_URL),
        ("ftp://127.0.0.1/a", Reason.INVALID_URL),
        ("http://[::1", Reason.INVALID_URL),
        ("http://127.0.0.1\\@10.0.0.1/", Reason.INVALID_URL),
    ],
)
async def test_every_redirect_is_checked_anew(location: str, reason: Reason) -> None:
    async with site(redirecting(location)) as address:
        error = await failure(f"{address}/0")
    assert (type(error), error.reason) == (Rejected, reason)


async def test_loopback_is_not_called_unless_allowed() -> None:
    """By address or by name; the server sees no connection at all."""
    connections = Counter[str]()

    async def count(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        connections["all"] += 1

    async with wire(count) as address:
        port = int(address.rpartition(":")[2])
        policy = AddressPolicy(allowed_ports=frozenset({port}))
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            error = await failure(f"http://{host}:{port}/", policy=policy)
            assert error.reason is Reason.BLOCKED_ADDRESS
    assert not connections


class Names(AbstractResolver):
    """A name server that gives each time the next answer; the last one stays."""

    def __init__(self, *answers: str | OSError) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, OSError):
            raise answer
        return [ResolveResult(hostname=host, host=answer, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """DNS rebinding: the name leads elsewhere a moment later, and nobody asks again between check and connection."""
    calls = Counter[str]()

    async def handler(request: web.Request) -> web.Response:
        calls[request.host] += 1
        return web.Response(body=b"inside")

    names = Names("127.0.0.1", "127.0.0.2")
    policy = AddressPolicy(allowed_private_hosts=frozenset({"photos.test"}))
    async with site(photo) as address:
        port = int(address.rpartition(":")[2])
        async with site(handler, "127.0.0.2", port), PhotoFetcher(policy=policy, resolver=names) as fetcher:
            assert await fetcher.fetch(f"http://photos.test:{port}/") == PHOTO
    assert names.asked == 1
    assert not calls


async def test_a_name_that_turns_inward_on_a_redirect_is_blocked() -> None:
    names = Names("127.0.0.1", "169.254.169.254")
    policy = AddressPolicy(allowed_private_hosts=frozenset({"photos.test"}))
    async with site(redirecting("http://photos.test:81/")) as address:
        port = address.rpartition(":")[2]
        async with PhotoFetcher(policy=policy, resolver=names) as fetcher:
            with pytest.raises(Rejected) as caught:
                await fetcher.fetch(f"http://photos.test:{port}/0")
    assert caught.value.reason is Reason.BLOCKED_ADDRESS
    assert names.asked == 2


async def test_many_requests_to_a_blocked_name_are_all_rejected() -> None:
    """They share one lookup; each gets its own answer."""
    async with PhotoFetcher(resolver=Names("10.0.0.1")) as fetcher:
        errors = await asyncio.gather(*(fetcher.fetch(f"http://x.test/{i}") for i in range(20)), return_exceptions=True)
    assert [getattr(error, "reason", error) for error in errors] == [Reason.BLOCKED_ADDRESS] * 20


async def test_a_name_that_does_not_exist_may_exist_later() -> None:
    async with PhotoFetcher(resolver=Names(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))) as fetcher:
        with pytest.raises(Postponed, match="Name or service not known") as caught:
            await fetcher.fetch("http://nowhere.test/")
    assert caught.value.reason is Reason.PHOTO_HOST_ERROR
