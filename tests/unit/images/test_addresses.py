"""Which addresses count as public."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from random import Random

import pytest

from worker.images.addresses import Reach, reach

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a02:6b8::2:242",
    "::ffff:1.1.1.1",
    "::ffff:0:1.1.1.1",
    "64:ff9b::1.1.1.1",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::ffff:0:10.1.2.3",
    "64:ff9b::192.168.0.1",
]
FORBIDDEN = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::127.0.0.1",
    "::1.1.1.1",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:1:2:3:4:5:6",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "2a02:6b8::5efe:10.0.0.1",
    "2a02:6b8::200:5efe:1.1.1.1",
    "4000::1",
]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *((text, Reach.PUBLIC) for text in PUBLIC),
        *((text, Reach.PRIVATE) for text in PRIVATE),
        *((text, Reach.FORBIDDEN) for text in FORBIDDEN),
    ],
)
def test_every_address_has_its_reach(text: str, meant: Reach) -> None:
    assert reach(ip_address(text)) is meant


def test_nothing_counts_as_public_that_python_knows_to_be_otherwise() -> None:
    """A cross-check with an independent list, on 4,000 addresses of IPv4 and as many of IPv6."""
    random = Random(0)
    for _ in range(4_000):
        for address in (ip_address(random.getrandbits(32)), IPv6Address((0x2 << 124) | random.getrandbits(125))):
            if reach(address) is Reach.PUBLIC:
                assert address.is_global, address
                assert not address.is_multicast, address
