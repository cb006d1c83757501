"""Photos fetched from real servers on loopback: good ones, slow ones, lying ones, and those that lead elsewhere."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from worker.errors import EventError, Postponed, Reason, Rejected
from worker.images import AddressPolicy, FetchLimits, PhotoFetcher

LOOPBACK = AddressPolicy(allowed_private_hosts=frozenset({"127.0.0.1"}))
SHORT = FetchLimits(connect_timeout=0.2, first_byte_timeout=0.2, total_timeout=0.5, queue_timeout=0.2)
PHOTO = b"\xff\xd8\xff" + bytes(range(256)) * 100

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def site(handler: Handler, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """An HTTP server that answers every path with ``handler``; gives its address, ``http://127.0.0.1:<port>``."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        where = web.TCPSite(runner, host, port)
        await where.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def wire(connection: Connection, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A TCP server that does with each connection what no HTTP library would."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await connection(reader, writer)
        except OSError:
            pass  # the client has left, as some tests want it to
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def failure(url: str, limits: FetchLimits = SHORT, policy: AddressPolicy = LOOPBACK) -> EventError:
    """How the fetch of ``url`` ends; it must, and without a secret in its message."""
    async with PhotoFetcher(limits=limits, policy=policy) as fetcher:
        with pytest.raises(EventError) as caught:
            await fetcher.fetch(url)
    assert "SECRET" not in repr(caught.value) + str(caught.value)
    return caught.value


async def photo(_: web.Request) -> web.Response:
    return web.Response(body=PHOTO)


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


# Redirects and addresses


def redirecting(*locations: str) -> Handler:
    """``/0`` leads to the first location, ``/1`` to the second, and so on; anything else is the photo."""

    async def handler(request: web.Request) -> web.Response:
        step = request.path.removeprefix("/")
        if step.isdigit() and int(step) < len(locations):
            return web.Response(status=302, headers={"Location": locations[int(step)]})
        return web.Response(body=PHOTO)

    return handler


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


# Time


def stalling(*pieces: bytes, pause: float | None = None) -> Connection:
    """Sends the pieces, ``pause`` seconds after each, and then nothing more until the client leaves."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if pause is not None:
                await asyncio.sleep(pause)
        await reader.read()
        await reader.read()

    return connection


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    "connection",
    [
        stalling(),
        stalling(b"HTTP/1.1 200 OK\r\nContent-Le"),
        stalling(HEAD),
        stalling(HEAD, b"x" * 999),
        stalling(HEAD, *[b"x"] * 999, pause=0.01),
        stalling(b"HTTP/1.1 200 OK\r\n", *[b"a: b\r\n"] * 999, pause=0.01),
    ],
    ids=["silent", "stalls in its headers", "no body", "stalls before the end", "drips", "drips headers"],
)
async def test_a_host_that_takes_too_long_is_left(connection: Connection) -> None:
    async with wire(connection) as address:
        begun = time.monotonic()
        error = await failure(f"{address}/1.jpg?SECRET")
        assert time.monotonic() - begun < 3
    assert (type(error), error.reason) == (Postponed, Reason.PHOTO_TIMEOUT)


async def test_a_connection_that_is_never_accepted_is_left() -> None:
    """A listener with a full queue drops further connections, as a firewall does."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        error = await failure(f"http://127.0.0.1:{listener.getsockname()[1]}/")
    assert (error.reason, error.message.rpartition(": ")[2]) == (Reason.PHOTO_TIMEOUT, "no connection in time")


async def test_a_tls_handshake_that_stalls_is_left() -> None:
    async with wire(stalling()) as address:
        error = await failure(address.replace("http:", "https:"))
    assert error.reason is Reason.PHOTO_TIMEOUT


async def test_redirects_do_not_buy_more_time() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(0.15)
        return web.Response(status=302, headers={"Location": "/again"})

    async with site(handler) as address:
        error = await failure(address, FetchLimits(total_timeout=0.4, max_redirects=100))
    assert error.reason is Reason.PHOTO_TIMEOUT


# Connections that break


def answering(answer: bytes, *, reset: bool = False) -> Connection:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    return connection


@pytest.mark.parametrize(
    "connection",
    [
        answering(b""),
        answering(b"", reset=True),
        answering(b"HTTP/1.1 200 OK\r\nConte"),
        answering(HEAD + b"x" * 10),
        answering(HEAD + b"x" * 10, reset=True),
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"),
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc"),
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc"),
        answering(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
        answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"),
        answering(b"SSH-2.0-OpenSSH_9.2 SECRET\r\n"),
        answering(bytes(range(256)) * 8),
    ],
    ids=[
        "closed",
        "reset",
        "closed in its headers",
        "closed in its body",
        "reset in its body",
        "closed in a chunk",
        "a chunk without a size",
        "a negative length",
        "two lengths",
        "a huge header",
        "many headers",
        "another protocol",
        "noise",
    ],
)
async def test_what_breaks_off_or_is_not_http_may_be_mended_later(connection: Connection) -> None:
    async with wire(connection) as address:
        error = await failure(f"{address}/1.jpg?SECRET")
    assert (type(error), error.reason) == (Postponed, Reason.PHOTO_HOST_ERROR)


async def test_a_refused_connection_may_be_mended_later() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await failure(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert (type(error), error.reason) == (Postponed, Reason.PHOTO_HOST_ERROR)
    assert "refused" in error.message


async def test_a_certificate_that_nobody_signed_is_not_accepted(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command, to make a certificate")
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    openssl = await asyncio.create_subprocess_exec(
        *command.split(), "-keyout", key, "-out", certificate, stderr=asyncio.subprocess.DEVNULL
    )
    assert await openssl.wait() == 0
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with wire(answering(HEAD + b"x" * 1000), context) as address:
        error = await failure(address, FetchLimits())
    assert (type(error), error.reason) == (Postponed, Reason.PHOTO_HOST_ERROR)


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
        limits = FetchLimits(max_per_host=2, max_connections=3, total_timeout=30, first_byte_timeout=30)
        async with PhotoFetcher(policy=policy, limits=limits) as fetcher:
            waiting = [asyncio.create_task(fetcher.fetch(f"{stalled}/{i}")) for i in range(20)]
            for i in range(20):
                assert await asyncio.wait_for(fetcher.fetch(f"{other}/{i}"), 5) == PHOTO
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


async def test_a_fetcher_outside_its_block_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await PhotoFetcher(policy=LOOPBACK).fetch("http://127.0.0.1/")
