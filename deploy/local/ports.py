"""Free TCP ports on the loopback address."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from deploy.local.errors import StackError

LOOPBACK = "127.0.0.1"
_LOWEST = 10_240


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now, all different.

    They lie below the kernel's ephemeral range on purpose. A client that keeps calling a stopped server on an ephemeral
    port will sooner or later be given that very port for its own end and connect to itself (TCP simultaneous open), and
    the server then finds its port taken when it comes back: exactly what a fault test does.
    """
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    highest = ephemeral if ephemeral > _LOWEST + 1000 else 65_536
    found: list[int] = []
    for port in random.sample(range(_LOWEST, highest), k=min(1000, highest - _LOWEST)):
        if is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise StackError(f"no {count} free TCP ports between {_LOWEST} and {highest}")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set it too: a port whose last connections linger in TIME_WAIT is free for them.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something accepts connections on the port: the cheap question before a protocol's own."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=0.5):
            return True
    except OSError:
        return False
