"""Redis 7: Debian's ``redis-server``, or whichever is on PATH."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from redis import Redis
from redis.exceptions import RedisError

from deploy.local.ports import LOOPBACK, answers
from deploy.local.server import Server
from deploy.local.system import redis_server


class RedisServer(Server):
    """One Redis, used as a cache: full, it drops the least recently used keys.

    What it holds is written to disk when it is stopped and read at the next start; a killed one forgets what it held.

    Parameters:
        directory: its own folder.
        memory: the most it may hold (``maxmemory``).
    """

    name: ClassVar[str] = "redis"
    port_names: ClassVar[tuple[str, ...]] = ("client",)

    def __init__(self, directory: Path, *, memory: str = "256mb") -> None:
        super().__init__(directory)
        self.memory = memory

    @property
    def url(self) -> str:
        """``redis://host:port/0``."""
        return f"redis://{LOOPBACK}:{self.ports['client']}/0"

    def settings(self) -> dict[str, str]:
        return {"COLOUR_REDIS__URL": self.url}

    def install(self) -> None:
        redis_server()

    def command(self) -> list[str]:
        # A save point that never comes in a day's work: it only makes SIGTERM write the snapshot.
        return [
            redis_server(), "--bind", LOOPBACK, "--port", str(self.ports["client"]), "--dir", str(self.data),
            "--save", "86400 1", "--appendonly", "no", "--maxmemory", self.memory, "--maxmemory-policy", "allkeys-lru",
            "--daemonize", "no",
        ]  # fmt: skip

    def is_ready(self) -> bool:
        if not self.ports or not answers(self.ports["client"]):
            return False
        try:
            with Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1) as client:
                return bool(client.ping())
        except RedisError:  # still loading its snapshot, or paused
            return False
