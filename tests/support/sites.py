"""HTTP servers on loopback that do what photo hosts do, and what they should not."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from worker.errors import EventError
from worker.images import AddressPolicy, FetchLimits, PhotoFetcher

LOOPBACK = AddressPolicy(allowed_private_hosts=frozenset({"127.0.0.1"}))
SHORT = FetchLimits(connect_timeout=0.2, first_byte_timeout=0.2, total_timeout=0.5, queue_timeout=0.2)
"""For hosts that never answer."""
PATIENT = FetchLimits(connect_timeout=60, first_byte_timeout=60, total_timeout=60, queue_timeout=60)
"""For hosts that do, however busy the machine is."""
PHOTO = b"\xff\xd8\xff" + bytes(range(256)) * 100
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

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


async def failure(url: str, limits: FetchLimits = PATIENT, policy: AddressPolicy = LOOPBACK) -> EventError:
    """How the fetch of ``url`` ends; it must, and without a secret in its message."""
    async with PhotoFetcher(limits=limits, policy=policy) as fetcher:
        with pytest.raises(EventError) as caught:
            await fetcher.fetch(url)
    assert "SECRET" not in repr(caught.value) + str(caught.value)
    return caught.value


async def photo(_: web.Request) -> web.Response:
    """Answers with :data:`PHOTO`."""
    return web.Response(body=PHOTO)


def redirecting(*locations: str) -> Handler:
    """``/0`` leads to the first location, ``/1`` to the second, and so on; anything else is the photo."""

    async def handler(request: web.Request) -> web.Response:
        step = request.path.removeprefix("/")
        if step.isdigit() and int(step) < len(locations):
            return web.Response(status=302, headers={"Location": locations[int(step)]})
        return web.Response(body=PHOTO)

    return handler


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


def answering(answer: bytes, *, reset: bool = False) -> Connection:
    """Sends ``answer`` to any request and hangs up; with ``reset``, rudely."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    return connection
