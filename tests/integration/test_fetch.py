"""Photos fetched from real servers on loopback: what is asked, how much is taken, and how much at once."""

from __future__ import annotations

import asyncio
import gzip
from collections import Counter

import pytest
from aiohttp import web

from tests.support.sites import (
    LOOPBACK,
    PHOTO,
    failure,
    photo,
    site,
    stalling,
    wire,
)
from worker.errors import EventError, Postponed, Reason, Rejected
from worker.images import AddressPolicy, FetchLimits, PhotoFetcher


async def test_the_bytes_come_back_as_they_were_sent() -> None:
    async with site(photo) as address, PhotoFetcher(policy=LOOPBACK) as fetcher:
        assert await fetcher.fetch(f"{address}/1.jpg") == PHOTO


async def test_requests_say_who_we_are_and_carry_no_cookie() -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        response = web.Response(body=PHOTO)
        response.set_cookie("session", "1")
        return response

    async with site(handler) as address, PhotoFetcher(policy=LOOPBACK) as fetcher:
        for _ in range(2):
            await fetcher.fetch(f"{address}/a%21b?s=a%2Fb%3D")
    headers = seen[1].headers
    assert headers["User-Agent"].startswith("colour-tagger/")
    assert (headers["Accept"], headers["Accept-Encoding"]) == ("image/*", "identity")
    assert not {"Cookie", "Authorization", "Referer"} & set(headers)
    assert seen[1].raw_path == "/a%21b?s=a%2Fb%3D"


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would connect wherever it likes, behind our checks."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with site(photo) as address, PhotoFetcher(policy=LOOPBACK) as fetcher:
        assert await fetcher.fetch(address) == PHOTO


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (204, Postponed, Reason.PHOTO_HOST_ERROR),
        (206, Postponed, Reason.PHOTO_HOST_ERROR),
        (300, Postponed, Reason.PHOTO_HOST_ERROR),
        (302, Postponed, Reason.PHOTO_HOST_ERROR),  # without a Location
        (304, Postponed, Reason.PHOTO_HOST_ERROR),
        (400, Rejected, Reason.PHOTO_REFUSED),
        (401, Rejected, Reason.PHOTO_REFUSED),
        (403, Rejected, Reason.PHOTO_REFUSED),
        (404, Postponed, Reason.PHOTO_NOT_FOUND),
        (408, Postponed, Reason.PHOTO_HOST_ERROR),
        (410, Postponed, Reason.PHOTO_NOT_FOUND),
        (425, Postponed, Reason.PHOTO_HOST_ERROR),
        (429, Postponed, Reason.PHOTO_HOST_ERROR),
        (451, Rejected, Reason.PHOTO_REFUSED),
        (500, Postponed, Reason.PHOTO_HOST_ERROR),
        (503, Postponed, Reason.PHOTO_HOST_ERROR),
    ],
)
async def test_a_status_decides_between_later_and_never(status: int, kind: type[EventError], reason: Reason) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text="" if status in (204, 304) else "SECRET of the server")

    async with site(handler) as address:
        error = await failure(f"{address}/1.jpg?token=SECRET")
    assert (type(error), error.reason) == (kind, reason)
    assert "/1.jpg?…" in error.message


async def test_an_empty_answer_is_no_photo_yet() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"")

    async with site(handler) as address:
        assert (await failure(address)).reason is Reason.PHOTO_HOST_ERROR


# Sizes


async def test_a_photo_of_exactly_the_limit_is_taken() -> None:
    async with site(photo) as address:
        async with PhotoFetcher(policy=LOOPBACK, limits=FetchLimits(max_bytes=len(PHOTO))) as fetcher:
            assert await fetcher.fetch(address) == PHOTO
        assert (await failure(address, FetchLimits(max_bytes=len(PHOTO) - 1))).reason is Reason.PHOTO_TOO_LARGE


async def test_a_content_length_above_the_limit_is_enough() -> None:
    """Not a byte of the body is waited for."""

    async def announce(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        await reader.read()

    async with wire(announce) as address:
        error = await failure(address, FetchLimits(first_byte_timeout=60, total_timeout=60))
    assert (type(error), error.reason) == (Rejected, Reason.PHOTO_TOO_LARGE)


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"])
async def test_an_endless_body_is_cut_at_the_limit(framing: bytes) -> None:
    sent = Counter[str]()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        piece = bytes(1 << 16)
        while True:
            writer.write(b"10000\r\n" + piece + b"\r\n" if framing.startswith(b"T") else piece)
            await writer.drain()
            sent["bytes"] += len(piece)

    async with wire(pour) as address:
        error = await failure(address, FetchLimits(max_bytes=1 << 20))
    assert (type(error), error.reason) == (Rejected, Reason.PHOTO_TOO_LARGE)
    assert sent["bytes"] < 32 << 20


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
async def test_compressed_answers_are_refused_and_never_inflated(encoding: str) -> None:
    bomb = gzip.compress(bytes(50 << 20))

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": encoding})

    async with site(handler) as address:
        error = await failure(address)
    assert (type(error), error.reason) == (Rejected, Reason.PHOTO_REFUSED)


async def test_more_photos_than_fit_into_memory_take_turns() -> None:
    body = bytes(1 << 20)

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body)

    limits = FetchLimits(max_bytes_in_flight=2 << 20)
    async with site(handler) as address, PhotoFetcher(policy=LOOPBACK, limits=limits) as fetcher:
        photos = await asyncio.gather(*(fetcher.fetch(f"{address}/{i}") for i in range(12)))
        assert [len(data) for data in photos] == [1 << 20] * 12
        async with fetcher.photo(address) as data:
            assert fetcher.bytes_in_flight == len(data)
        assert fetcher.bytes_in_flight == 0


# How much at once


async def test_no_host_gets_more_requests_at_once_than_allowed() -> None:
    now, most = Counter[str](), Counter[str]()
    full = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        now["requests"] += 1
        most["requests"] = max(most["requests"], now["requests"])
        if now["requests"] == 4:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        now["requests"] -= 1
        return web.Response(body=PHOTO)

    limits = FetchLimits(max_per_host=4)
    async with site(handler) as address, PhotoFetcher(policy=LOOPBACK, limits=limits) as fetcher:
        await asyncio.gather(*(fetcher.fetch(f"{address}/{i}") for i in range(40)))
    assert most["requests"] == 4


async def test_a_stalled_host_does_not_hold_up_another() -> None:
    async with wire(stalling()) as stalled, site(photo, "127.0.0.2") as other:
        policy = AddressPolicy(allowed_private_hosts=frozenset({"127.0.0.1", "127.0.0.2"}))
        limits = FetchLimits(max_per_host=2, max_connections=3, total_timeout=120, first_byte_timeout=120)
        async with PhotoFetcher(policy=policy, limits=limits) as fetcher:
            waiting = [asyncio.create_task(fetcher.fetch(f"{stalled}/{i}")) for i in range(20)]
            for i in range(20):
                assert await asyncio.wait_for(fetcher.fetch(f"{other}/{i}"), 60) == PHOTO
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert fetcher.bytes_in_flight == 0


async def test_who_finds_no_slot_in_time_is_postponed() -> None:
    limits = FetchLimits(max_per_host=1, queue_timeout=0.05)
    async with wire(stalling()) as stalled, PhotoFetcher(policy=LOOPBACK, limits=limits) as fetcher:
        first = asyncio.create_task(fetcher.fetch(f"{stalled}/1"))
        await asyncio.sleep(0)
        with pytest.raises(Postponed, match="no request to this host could begin") as caught:
            await fetcher.fetch(f"{stalled}/2")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert caught.value.reason is Reason.PHOTO_TIMEOUT


async def test_a_long_queue_at_a_host_that_answers_is_no_reason_to_give_up() -> None:
    """The last photo waits for three times what anybody would wait for a host that does not answer."""

    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(0.15)
        return web.Response(body=PHOTO)

    limits = FetchLimits(max_per_host=2, queue_timeout=0.5)
    async with site(handler) as address, PhotoFetcher(policy=LOOPBACK, limits=limits) as fetcher:
        assert await asyncio.gather(*(fetcher.fetch(f"{address}/{i}") for i in range(20))) == [PHOTO] * 20


async def test_a_long_queue_at_a_stalled_host_is_not_waited_in() -> None:
    """That one request after the other runs into its time limit is no answer."""
    asked = Counter[str]()
    stall = stalling()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked["requests"] += 1
        await stall(reader, writer)

    limits = FetchLimits(max_per_host=2, first_byte_timeout=0.3, queue_timeout=0.5)
    async with wire(count) as address, PhotoFetcher(policy=LOOPBACK, limits=limits) as fetcher:
        ends = await asyncio.gather(*(fetcher.fetch(f"{address}/{i}") for i in range(20)), return_exceptions=True)
    assert {(type(end), getattr(end, "reason", None)) for end in ends} == {(Postponed, Reason.PHOTO_TIMEOUT)}
    assert asked["requests"] <= 6


async def test_waiting_for_room_in_memory_is_not_charged_to_the_host() -> None:
    """Neither to the photo that waits for it, nor to those that wait for its slot."""
    body = bytes(1 << 20)

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body)

    limits = FetchLimits(max_bytes_in_flight=1 << 20, max_per_host=1, total_timeout=1, queue_timeout=0.5)
    async with site(handler) as address, PhotoFetcher(policy=LOOPBACK, limits=limits) as fetcher:
        async with fetcher.photo(address):
            waiting = [asyncio.create_task(fetcher.fetch(f"{address}/{i}")) for i in range(4)]
            assert await asyncio.wait(waiting, timeout=2.5) == (set(), set(waiting))
        assert await asyncio.gather(*waiting) == [body] * 4


async def test_a_fetcher_outside_its_block_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await PhotoFetcher(policy=LOOPBACK).fetch("http://127.0.0.1/")
