"""Which addresses may be called: a stranger's URL must not make us knock on doors inside the house.

The check is made twice, and at the place where it counts. ``AddressPolicy.parse`` looks at the URL itself, again for
every redirect; ``GuardedResolver`` hands the HTTP client only addresses that are permitted. The client connects to
exactly those, so a name that resolves differently a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Address, ip_address

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from worker.errors import Reason, Rejected
from worker.images.addresses import Address, Reach, reach

_LONGEST_URL = 8192
_HOSTS = 256
"""So many hosts' names are remembered with what they say: photos come from few, and strangers may write long ones."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# RFC 3986's characters. A URL of these alone is sent as it stands: requoting would break signed query strings.
_PLAIN_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """Hosts and ports that photos may come from. The default is the public Internet, on ports 80 and 443.

    Parameters:
        allowed_private_hosts: host names or IP addresses, exactly as URLs write them, that may lead to private or
            loopback addresses, on any port. Link-local, metadata and multicast addresses stay closed to them too.
        allowed_hosts: if not empty, only these hosts and their subdomains, and those above.
        denied_hosts: never these hosts and their subdomains, whatever the others say.
        allowed_ports: TCP ports.

    Raises:
        ValueError: an entry is not a bare host.
    """

    allowed_private_hosts: frozenset[str] = frozenset()
    allowed_hosts: frozenset[str] = frozenset()
    denied_hosts: frozenset[str] = frozenset()
    allowed_ports: frozenset[int] = frozenset({80, 443})

    def __post_init__(self) -> None:
        for field in ("allowed_private_hosts", "allowed_hosts", "denied_hosts"):
            object.__setattr__(self, field, frozenset(_configured_host(host) for host in getattr(self, field)))

    def parse(self, text: str) -> URL:
        """Read a URL and check all that can be known of it before its host is resolved.

        Returns:
            The URL; the path and query of one in plain ASCII are left exactly as written.

        Raises:
            Rejected: ``invalid_url`` or ``blocked_address``.
        """
        url = _parse(text)
        host = host_of(url)
        if _is_under(host, self.denied_hosts):
            raise Rejected(Reason.BLOCKED_ADDRESS, f"{redact(url)}: the host is denied by settings")
        if host not in self.allowed_private_hosts:
            if self.allowed_hosts and not _is_under(host, self.allowed_hosts):
                raise Rejected(Reason.BLOCKED_ADDRESS, f"{redact(url)}: the host is not among the allowed ones")
            if url.port not in self.allowed_ports:
                raise Rejected(Reason.BLOCKED_ADDRESS, f"{redact(url)}: port {url.port} is not allowed")
        literal = _address(host)
        if literal is not None and not self.permits(host, literal):
            raise Rejected(Reason.BLOCKED_ADDRESS, f"{redact(url)}: the address is not public")
        return url

    def permits(self, host: str, address: Address) -> bool:
        """Whether ``host``, which resolved to ``address``, may be called there."""
        match reach(address):
            case Reach.PUBLIC:
                return True
            case Reach.PRIVATE:
                return _canonical(host) in self.allowed_private_hosts
            case Reach.FORBIDDEN:
                return False


class GuardedResolver(AbstractResolver):
    """Resolves host names for aiohttp and withholds every address that the policy does not permit.

    It asks the operating system in threads of its own: a slow name server takes those, and not the event loop's.

    Parameters:
        policy: what is permitted.
        inner: another resolver to ask instead of the operating system.
        threads: lookups at once.
    """

    def __init__(self, policy: AddressPolicy, *, inner: AbstractResolver | None = None, threads: int = 16) -> None:
        self._policy = policy
        self._inner = inner
        self._threads = ThreadPoolExecutor(threads, "dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The permitted addresses of ``host``.

        Raises:
            Rejected: ``blocked_address``, if it has addresses and none is permitted.
            OSError: it has none.
        """
        if self._inner is not None:
            found = await self._inner.resolve(host, port, family)
        else:
            found = await self._ask_system(host, port, family)
        permitted = [result for result in found if self._policy.permits(host, ip_address(result["host"]))]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        if not permitted:
            raise Rejected(Reason.BLOCKED_ADDRESS, f"{host[:200]} resolves to an address that is not public")
        return permitted

    async def _ask_system(self, host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        answers = await loop.run_in_executor(self._threads, ask)
        return [
            ResolveResult(
                hostname=host,
                host=str(sockaddr[0]),
                port=port,
                family=family,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, _, proto, _, sockaddr in answers
        ]

    async def close(self) -> None:
        """Let the threads go. A lookup that is still under way ends by itself; nobody waits for it."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._inner is not None:
            await self._inner.close()


def host_of(url: URL) -> str:
    """The host in the one form in which hosts are compared: lower case, no final dot, addresses in canonical form."""
    return _canonical(url.raw_host or "")


def redact(url: URL | str) -> str:
    """A URL for messages and logs: without credentials, query and fragment, which may be secrets; at most 200 long."""
    if isinstance(url, str):
        try:
            url = URL(url)
        except ValueError:
            return "a URL that cannot be read"
    host = f"[{url.raw_host}]" if ":" in (url.raw_host or "") else url.raw_host or ""
    port = f":{url.explicit_port}" if url.explicit_port is not None else ""
    query = "?…" if url.raw_query_string else ""
    return f"{url.scheme}://{host}{port}{url.raw_path}"[:200] + query


def _parse(text: str) -> URL:
    if len(text) > _LONGEST_URL:
        raise Rejected(Reason.INVALID_URL, f"a URL of {len(text)} characters is longer than {_LONGEST_URL}")
    # yarl drops line breaks and tabs silently, so that the URL called would not be the URL read.
    if _CONTROL.search(text):
        raise Rejected(Reason.INVALID_URL, "the URL holds control characters or halves of surrogate pairs")
    try:
        url = URL(text)
        port = url.port
    except ValueError:
        raise Rejected(Reason.INVALID_URL, "the URL cannot be read") from None
    if url.scheme not in ("http", "https"):
        raise Rejected(Reason.INVALID_URL, f"{redact(url)}: only http and https are called")
    if url.user is not None or url.password is not None:
        raise Rejected(Reason.INVALID_URL, f"{redact(url)}: a URL with credentials is not called")
    if not port:
        raise Rejected(Reason.INVALID_URL, f"{redact(url)}: no such port")
    _check_host(url)
    if _PLAIN_URL.fullmatch(text):
        verbatim = URL(text, encoded=True)
        return verbatim.with_fragment(None) if (verbatim.raw_host or "").lower() == url.raw_host else url
    return url


def _check_host(url: URL) -> None:
    host = host_of(url)
    labels = host.split(".")
    if ":" in host:
        valid = "%" not in host and _address(host) is not None
    elif _NUMBER.fullmatch(labels[-1]):
        # As browsers read it: what ends in a number is an IPv4 address. "127.1", "0x7f.1" and "2130706433" are ways to
        # write one that only attackers use.
        valid = _address(host) is not None and not (url.raw_host or "").endswith(".")
    else:
        valid = len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    if not valid:
        raise Rejected(Reason.INVALID_URL, f"{redact(url)}: no valid host")


@lru_cache(_HOSTS)
def _canonical(host: str) -> str:
    host = host.lower().removesuffix(".")
    address = _address(host)
    return str(address) if address is not None else host


@lru_cache(_HOSTS)
def _address(host: str) -> Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return address if isinstance(address, IPv4Address) or address.scope_id is None else None


def _is_under(host: str, domains: frozenset[str]) -> bool:
    """Whether ``host`` is one of ``domains`` or a subdomain of one; addresses have no subdomains."""
    if host in domains:
        return True
    labels = host.split(".")
    return _address(host) is None and any(".".join(labels[start:]) in domains for start in range(1, len(labels)))


def _configured_host(host: str) -> str:
    bare = host.strip().removeprefix("[").removesuffix("]")
    try:
        url = URL.build(scheme="http", host=bare)
        _check_host(url)
    except (ValueError, Rejected):
        raise ValueError(
            f"{host!r} is not a host; write a bare name or address such as 'cdn.example.com' or '127.0.0.1', "
            "without scheme, port or wildcard (subdomains are included)"
        ) from None
    return host_of(url)
