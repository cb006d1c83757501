"""Which URLs may be called, and which of a host's addresses."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from worker.errors import Reason, Rejected
from worker.images import AddressPolicy
from worker.images.guard import GuardedResolver, redact

POLICY = AddressPolicy(
    allowed_private_hosts=frozenset({"127.0.0.1", "photos.local"}),
    denied_hosts=frozenset({"evil.example"}),
)


def _reason(url: str, policy: AddressPolicy = POLICY) -> Reason:
    with pytest.raises(Rejected) as caught:
        policy.parse(url)
    return caught.value.reason


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("http://cdn.example.com/1.jpg", "http://cdn.example.com/1.jpg"),
        ("https://CDN.Example.com:443/a", "https://CDN.Example.com/a"),
        ("https://cdn.example.com./a", "https://cdn.example.com./a"),
        ("http://1.1.1.1/a", "http://1.1.1.1/a"),
        ("http://[2606:4700::1]/a", "http://[2606:4700::1]/a"),
        ("http://127.0.0.1:8000/a", "http://127.0.0.1:8000/a"),
        ("http://photos.local:9/a", "http://photos.local:9/a"),
        ("https://cdn.example.com/a#part", "https://cdn.example.com/a"),
        ("https://фото.рф/снимок 1.jpg", "https://xn--n1aalg.xn--p1ai/%D1%81%D0%BD%D0%B8%D0%BC%D0%BE%D0%BA%201.jpg"),
        # A signature covers the query as it was written.
        ("https://cdn.example.com/a%21b?s=a%2Fb%3D&t=%7E+", "https://cdn.example.com/a%21b?s=a%2Fb%3D&t=%7E+"),
    ],
)
def test_an_ordinary_url_is_called_as_it_is_written(url: str, called: str) -> None:
    assert str(POLICY.parse(url)) == called


@pytest.mark.parametrize(
    "url",
    [
        "",
        "photo.jpg",
        "//cdn.example.com/a",
        "ftp://cdn.example.com/a",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "http:",
        "http:a",
        "http:///a",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://user@cdn.example.com/",
        "http://user:secret@cdn.example.com/",
        "http://127.0.0.1%2f@cdn.example.com/",
        "http://cdn.example.com\\@127.0.0.1/",
        "http://cdn.example.com:0/",
        "http://cdn.example.com:99999/",
        "http://cdn.example.com:http/",
        "http://cdn..example.com/",
        "http://-cdn.example.com/",
        f"http://{'a' * 64}.example.com/",
        f"http://{'a.' * 200}com/",
        "http://cdn example.com/",
        "http://%31%32%37.0.0.1/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://017700000001/",
        "http://127.0.0.01/",
        "http://127.0.0.1./",
        "http://1.2.3.4.5/",
        "http://cdn.example.com/a\r\nHost: 127.0.0.1",
        "http://cdn.example.com/\ta",
        "http://cdn.example.com/\x00",
        "http://cdn.example.com/\udcff",
        "http://cdn.example.com/" + "a" * 9000,
    ],
)
def test_what_is_no_proper_http_url_is_invalid(url: str) -> None:
    assert _reason(url) is Reason.INVALID_URL


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[::ffff:a00:1]/",
        "http://[::127.0.0.1]/",
        "http://[2002:7f00:1::1]/",
        "http://[64:ff9b::a00:1]/",
        "http://0.0.0.0/",
        "http://127.0.0.2:8000/",
        "http://169。254。169。254/",  # ideographic full stops, which IDNA reads as dots
        "http://１０.0.0.1/",  # full-width digits, which IDNA reads as digits
        "http://cdn.example.com:22/",
        "http://cdn.example.com:8080/",
        "http://evil.example/",
        "http://EVIL.example./",
        "http://cdn.evil.example/",
    ],
)
def test_what_leads_into_the_house_is_blocked(url: str) -> None:
    assert _reason(url) is Reason.BLOCKED_ADDRESS


def test_an_allow_list_leaves_nothing_else() -> None:
    """Subdomains and private hosts that are allowed belong to it; names that merely end alike do not."""
    policy = AddressPolicy(allowed_hosts=frozenset({"example.com"}), allowed_private_hosts=frozenset({"127.0.0.1"}))
    for url in ("http://example.com/", "http://a.b.example.com/", "http://127.0.0.1:99/"):
        policy.parse(url)
    for url in ("http://notexample.com/", "http://example.com.evil.test/", "http://1.1.1.1/"):
        assert _reason(url, policy) is Reason.BLOCKED_ADDRESS


def test_a_host_that_may_be_private_may_still_not_be_a_metadata_service() -> None:
    for host, address, permitted in (
        ("photos.local", "10.0.0.5", True),
        ("PHOTOS.local.", "127.0.0.1", True),
        ("photos.local", "1.1.1.1", True),
        ("photos.local", "169.254.169.254", False),
        ("photos.local", "0.0.0.0", False),
        ("other.local", "10.0.0.5", False),
    ):
        assert POLICY.permits(host, ip_address(address)) is permitted


@pytest.mark.parametrize("host", ["https://cdn.example.com", "cdn.example.com:80", "*.example.com", "10.0.0.0/8", ""])
def test_a_setting_that_is_no_host_is_refused_with_a_sentence(host: str) -> None:
    with pytest.raises(ValueError, match="write a bare name or address"):
        AddressPolicy(denied_hosts=frozenset({host}))


def test_settings_are_read_as_urls_are() -> None:
    policy = AddressPolicy(allowed_private_hosts=frozenset({"[::1]", "Фото.РФ", "LOCALHOST"}))
    assert policy.allowed_private_hosts == {"::1", "xn--n1aalg.xn--p1ai", "localhost"}
    policy.parse("http://[0:0:0:0:0:0:0:1]:8000/")


class Names(AbstractResolver):
    """A name server of our own."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None:
        pass


async def test_of_mixed_addresses_only_the_public_are_handed_on() -> None:
    resolver = GuardedResolver(POLICY, inner=Names("10.0.0.1", "1.1.1.1", "fe80::1%lo", "2606:4700::1"))
    assert [found["host"] for found in await resolver.resolve("x.example", 80)] == ["1.1.1.1", "2606:4700::1"]
    await resolver.close()


async def test_a_name_with_private_addresses_only_is_blocked() -> None:
    resolver = GuardedResolver(POLICY, inner=Names("10.0.0.1", "::1"))
    with pytest.raises(Rejected) as caught:
        await resolver.resolve("x.example", 80)
    assert caught.value.reason is Reason.BLOCKED_ADDRESS
    await resolver.close()


async def test_the_operating_systems_names_are_checked_as_well() -> None:
    resolver = GuardedResolver(POLICY)
    with pytest.raises(Rejected):
        await resolver.resolve("localhost", 80)
    await resolver.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@cdn.example.com:81/a?token=secret#x", "https://cdn.example.com:81/a?…"),
        ("http://[::1]/a", "http://[::1]/a"),
        ("http://cdn.example.com/" + "a" * 500, ("http://cdn.example.com/" + "a" * 500)[:200]),
        ("http://[::1", "a URL that cannot be read"),
    ],
)
def test_messages_show_no_credentials_and_no_query(url: str, shown: str) -> None:
    assert redact(url) == shown
