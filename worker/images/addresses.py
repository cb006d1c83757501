"""Which IP addresses belong to the public Internet.

Written out rather than asked of ``ipaddress.is_global``, whose answer differs between Python's patch releases and
counts multicast, 6to4 and NAT64 as global. Sources: IANA's IPv4 and IPv6 Special-Purpose Address Registries, RFC 6890;
the clouds' documentation for the metadata addresses.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address


class Reach(Enum):
    """What an address leads to."""

    PUBLIC = "public"
    PRIVATE = "private"  # this host, or this site: an operator may allow a host to be there
    FORBIDDEN = "forbidden"  # link-local, metadata, multicast, unspecified, reserved: no photo is ever there


_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, and most others
        "168.63.129.16",  # Azure's WireServer: a public address by its number
        "100.100.100.200",  # Alibaba Cloud
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # AWS over IPv6
        "fd20:ce::254",  # Google over IPv6
    )
)
_PRIVATE_V4 = tuple(
    IPv4Network(text) for text in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
_FORBIDDEN_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "169.254.0.0/16",  # link-local
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
    )
)
_PRIVATE_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
# Everything outside global unicast is refused, so that a range that is given a meaning later is refused as well.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_FORBIDDEN_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments; Teredo (2001::/32) hides an IPv4 address in them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which hides an IPv4 address
        "3fff::/20",  # documentation
    )
)
# Forms that carry an IPv4 address in their last 32 bits: it decides. A resolver in an IPv6-only network (DNS64) answers
# with NAT64's prefix for ordinary public hosts. RFC 4291 2.5.5, RFC 6052, RFC 2765.
_CARRIES_V4 = tuple(IPv6Network(text) for text in ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))


def reach(address: Address) -> Reach:
    """What ``address`` leads to, looking through the IPv6 forms that carry an IPv4 address."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return Reach.FORBIDDEN
        if any(address in network for network in _CARRIES_V4):
            return reach(IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _METADATA:
        return Reach.FORBIDDEN
    if isinstance(address, IPv4Address):
        if any(address in network for network in _PRIVATE_V4):
            return Reach.PRIVATE
        return Reach.FORBIDDEN if any(address in network for network in _FORBIDDEN_V4) else Reach.PUBLIC
    if any(address in network for network in _PRIVATE_V6):
        return Reach.PRIVATE
    # Besides its prefix, ISATAP (RFC 5214) hides an IPv4 address behind a fixed half of the interface identifier.
    isatap = (int(address) >> 32) & 0xFCFFFFFF == 0x00005EFE
    if address not in _GLOBAL_UNICAST or isatap or any(address in network for network in _FORBIDDEN_V6):
        return Reach.FORBIDDEN
    return Reach.PUBLIC
