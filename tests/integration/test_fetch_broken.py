"""Photo hosts that stall, break off or speak another protocol: each is left, and asked again later."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.sites import (
    HEAD,
    SHORT,
    Connection,
    answering,
    failure,
    site,
    stalling,
    wire,
)
from worker.errors import Postponed, Reason
from worker.images import FetchLimits


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
        error = await failure(f"{address}/1.jpg?SECRET", SHORT)
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
        limits = FetchLimits(connect_timeout=0.2, first_byte_timeout=60, total_timeout=60)
        error = await failure(f"http://127.0.0.1:{listener.getsockname()[1]}/", limits)
    assert (error.reason, error.message.rpartition(": ")[2]) == (Reason.PHOTO_TIMEOUT, "no connection in time")


async def test_a_tls_handshake_that_stalls_is_left() -> None:
    async with wire(stalling()) as address:
        error = await failure(address.replace("http:", "https:"), SHORT)
    assert error.reason is Reason.PHOTO_TIMEOUT


async def test_redirects_do_not_buy_more_time() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(0.15)
        return web.Response(status=302, headers={"Location": "/again"})

    async with site(handler) as address:
        error = await failure(address, FetchLimits(total_timeout=0.4, max_redirects=100))
    assert error.reason is Reason.PHOTO_TIMEOUT


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
