"""Photos from strangers' addresses: every hop checked, every wait and every size bounded."""

from __future__ import annotations

import asyncio
import math
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from worker import __version__
from worker.errors import Postponed, Reason, Rejected
from worker.images.guard import AddressPolicy, GuardedResolver, host_of, redact
from worker.images.inflight import ByteAccount, ByteBudget, HostSlots, NoFreeSlotError

_CHUNK = 64 << 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_FOUND = frozenset({404, 410})
# What a later attempt may well find answered: request timeout, too early, too many requests, and all of 5xx.
_FOR_NOW = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How long is waited and how much is taken.

    Parameters:
        connect_timeout: seconds for a TCP and TLS connection to one address.
        first_byte_timeout: seconds of silence, before the answer's first byte or between two of its pieces.
        total_timeout: seconds for one photo, its redirects included, from when it gets a slot; those in which it waits
            for room in ``max_bytes_in_flight`` do not count.
        queue_timeout: seconds to wait for a slot, while ``max_per_host`` or ``max_connections`` are in use, from when
            the host last answered anybody.
        max_bytes: of one photo's file.
        max_bytes_in_flight: of all photos that are being downloaded or held.
        max_per_host: requests to one host at once.
        max_connections: requests to all hosts at once.
        max_redirects: hops beyond the first address.
    """

    connect_timeout: float = 2.0
    first_byte_timeout: float = 3.0
    total_timeout: float = 8.0
    queue_timeout: float = 8.0
    max_bytes: int = 20 << 20
    max_bytes_in_flight: int = 128 << 20
    max_per_host: int = 32
    max_connections: int = 128
    max_redirects: int = 3


_LIMITS = FetchLimits()
_POLICY = AddressPolicy()


class PhotoFetcher:
    """Fetches photos over HTTP. An async context manager; one for the life of the process, on one event loop.

    No cookie, credential or proxy of the environment is used. Connections are kept and used again.

    Parameters:
        limits: see there.
        policy: which addresses may be called.
        resolver: asked for addresses instead of the operating system; its answers are checked all the same.
    """

    def __init__(
        self,
        *,
        limits: FetchLimits = _LIMITS,
        policy: AddressPolicy = _POLICY,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._limits = limits
        self._policy = policy
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._slots = HostSlots(limits.max_per_host, limits.max_connections)
        self._bytes = ByteBudget(limits.max_bytes_in_flight)

    @property
    def bytes_in_flight(self) -> int:
        """Bytes of photos that are being downloaded or held at the moment."""
        return self._bytes.used

    async def __aenter__(self) -> Self:
        limits = self._limits
        self._guard = GuardedResolver(self._policy, inner=self._resolver)
        self._session = aiohttp.ClientSession(
            # The slots above count requests; a second count here would only hide the wait inside the time limits.
            connector=aiohttp.TCPConnector(resolver=self._guard, limit=0, ttl_dns_cache=10),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=limits.connect_timeout, sock_read=limits.first_byte_timeout
            ),
            headers={
                "User-Agent": f"colour-tagger/{__version__}",
                "Accept": "image/*",
                # A photo is compressed already. What a server inflates for us could be a bomb.
                "Accept-Encoding": "identity",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            await self._guard.close()
            self._session = None

    async def fetch(self, url: str) -> bytes:
        """The bytes of the photo at ``url``, as the server sent them. Whether they are a picture is not judged here.

        Raises:
            Rejected: ``invalid_url``, ``blocked_address``, ``photo_refused`` (401, 403 and other 4xx),
                ``photo_too_large``, ``too_many_redirects``.
            Postponed: ``photo_not_found`` (404, 410), ``photo_host_error`` (408, 425, 429, 5xx, no such host,
                connection refused or cut), ``photo_timeout``.
        """
        async with self.photo(url) as data:
            return data

    @asynccontextmanager
    async def photo(self, url: str) -> AsyncIterator[bytes]:
        """As ``fetch``; inside the ``async with`` block the bytes still count as held, so that memory stays bounded."""
        with self._bytes.account() as account:
            yield await self._follow(url, account)

    async def _follow(self, url: str, account: ByteAccount) -> bytes:
        left = self._limits.total_timeout
        target = self._policy.parse(url)
        for _ in range(1 + self._limits.max_redirects):
            try:
                async with self._slots.hold(host_of(target), self._limits.queue_timeout):
                    async with asyncio.timeout(left) as limit:
                        answer = await self._request(target, account, limit)
                        left = _left(limit)
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                _raise_for(target, error)
            if isinstance(answer, bytes):
                return answer
            target = answer
        raise Rejected(Reason.TOO_MANY_REDIRECTS, f"{redact(url)}: more than {self._limits.max_redirects} redirects")

    async def _request(self, url: URL, account: ByteAccount, limit: asyncio.Timeout) -> bytes | URL:
        """One hop: the photo, or where it redirects to."""
        if self._session is None:
            raise RuntimeError("a PhotoFetcher works inside its 'async with' block only")
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status in _REDIRECTS:
                return self._redirect(url, response)
            _check_status(url, response.status)
            encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
            if encoding not in ("", "identity"):
                raise Rejected(
                    Reason.PHOTO_REFUSED, f"{redact(url)}: sent as {encoding[:20]!r}, which was not asked for"
                )
            return await self._read(url, response, account, limit)

    def _redirect(self, url: URL, response: aiohttp.ClientResponse) -> URL:
        location = response.headers.get("Location")
        if not location:
            raise Postponed(Reason.PHOTO_HOST_ERROR, f"{redact(url)}: a redirect ({response.status}) to nowhere")
        try:
            return self._policy.parse(urljoin(str(url), location))
        except ValueError:
            raise Rejected(Reason.INVALID_URL, f"{redact(url)} redirects to a URL that cannot be read") from None

    async def _read(
        self, url: URL, response: aiohttp.ClientResponse, account: ByteAccount, limit: asyncio.Timeout
    ) -> bytes:
        most = self._limits.max_bytes
        if response.content_length is not None and response.content_length > most:
            raise _too_large(url, most)
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_chunked(_CHUNK):
            size += len(part)
            if size > most:
                raise _too_large(url, most)
            with nullcontext() if account.has_room(len(part)) else self._held_up(limit):
                await account.add(len(part))
            parts.append(part)
        if not size:
            raise Postponed(Reason.PHOTO_HOST_ERROR, f"{redact(url)}: the answer is empty")
        return b"".join(parts)

    @contextmanager
    def _held_up(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Memory is ours to find: neither this download nor those behind it may be given up for that."""
        left = _left(limit)
        limit.reschedule(None)
        with self._slots.held_up():
            yield
        limit.reschedule(asyncio.get_running_loop().time() + left)


def _left(limit: asyncio.Timeout) -> float:
    """Seconds."""
    due = limit.when()
    return math.inf if due is None else due - asyncio.get_running_loop().time()


def _check_status(url: URL, status: int) -> None:
    if status == 200:
        return
    message = f"{redact(url)}: the host answered {status}"
    if status in _NOT_FOUND:
        raise Postponed(Reason.PHOTO_NOT_FOUND, message)
    if 400 <= status < 500 and status not in _FOR_NOW:
        raise Rejected(Reason.PHOTO_REFUSED, message)
    raise Postponed(Reason.PHOTO_HOST_ERROR, message)


def _too_large(url: URL, limit: int) -> Rejected:
    return Rejected(Reason.PHOTO_TOO_LARGE, f"{redact(url)}: the file is larger than {limit} bytes")


def _raise_for(url: URL, error: Exception) -> NoReturn:
    """Give a failure of the network its reason; never aiohttp's own text, which may quote the URL with its query."""
    if isinstance(error, TimeoutError):
        raise Postponed(Reason.PHOTO_TIMEOUT, f"{redact(url)}: {_waited_for(error)}") from error
    if isinstance(error, aiohttp.InvalidURL):
        raise Rejected(Reason.INVALID_URL, f"{redact(url)}: not a URL that can be called") from None
    raise Postponed(Reason.PHOTO_HOST_ERROR, f"{redact(url)}: {_what_broke(error)}") from error


def _what_broke(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, socket.gaierror):
        return cause.strerror or "the name cannot be resolved"
    if isinstance(cause, OSError) and cause.errno is not None:
        return os.strerror(cause.errno)
    return type(error).__name__


def _waited_for(error: TimeoutError) -> str:
    match error:
        case NoFreeSlotError():
            return str(error)
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time"
        case aiohttp.SocketTimeoutError():
            return "the host fell silent"
        case _:
            return "not complete in time"
