"""Embeddings in Redis: what was seen once is not downloaded, decoded and encoded again.

A key names the encoder's fingerprint and the photo's (or text's) identity, never a label: a new head relabels from
here.
A value carries dtype, width and a checksum; what does not fit is a miss. Redis is a help and no necessity: when it is
slow or away the worker goes on without it, and asks again after a pause.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from worker.settings import RedisSettings

log = structlog.get_logger(__name__)

Embedding = npt.NDArray[np.float16]

_HEADER = struct.Struct("<4sHHI")
"""Magic and format version, dtype code, width, CRC-32 of the payload."""
_MAGIC = b"CE\x00\x01"
_FLOAT16 = 1


def key(fingerprint: str, identity: str) -> str:
    """The Redis key of one embedding: ``colour:<encoder fingerprint>:<128-bit digest of the identity>``."""
    return f"colour:{fingerprint}:{blake2b(identity.encode(), digest_size=16).hexdigest()}"


def pack(embedding: Embedding) -> bytes:
    """float16 [width] -> header and little-endian payload."""
    payload = embedding.astype("<f2", copy=False).tobytes()
    return _HEADER.pack(_MAGIC, _FLOAT16, len(embedding), zlib.crc32(payload)) + payload


def unpack(value: bytes, width: int) -> Embedding | None:
    """The embedding, or ``None`` when the value is of no use: another format, width, a damaged payload, not finite."""
    if len(value) != _HEADER.size + 2 * width:
        return None
    magic, dtype, stored_width, checksum = _HEADER.unpack_from(value)
    payload = value[_HEADER.size :]
    if (magic, dtype, stored_width, checksum) != (_MAGIC, _FLOAT16, width, zlib.crc32(payload)):
        return None
    embedding = np.frombuffer(payload, dtype="<f2")
    return embedding if np.isfinite(embedding).all() else None


class EmbeddingCache:
    """One round trip to read a batch, one to write it.

    Parameters:
        settings: address, time limit, expiry; an empty ``url`` switches the cache off.
        clock: monotonic seconds, for the pause after a failure.

    Warning:
        A value is trusted once its checksum fits: whoever can write to this Redis can decide labels.
    """

    def __init__(self, settings: RedisSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._closed_until = 0.0
        self._redis: Any = _connect(settings) if settings.url else None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            await self._redis.aclose()

    async def get_many(self, keys: Sequence[str], widths: Sequence[int]) -> list[Embedding | None]:
        """One MGET: for each key its embedding, float16 [width], or ``None``. Never raises for Redis's sake."""
        if not keys or not self.answers:
            return [None] * len(keys)
        try:
            values = await self._redis.mget(keys)
        except (RedisError, OSError) as error:
            self._fail("read", error)
            return [None] * len(keys)
        return [None if value is None else unpack(value, width) for value, width in zip(values, widths, strict=True)]

    async def set_many(self, embeddings: Mapping[str, Embedding]) -> None:
        """One pipeline of SETs, each with an expiry. Never raises for Redis's sake."""
        if not embeddings or not self.answers:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for name, embedding in embeddings.items():
                    pipeline.set(name, pack(embedding), ex=self._settings.expire)
                await pipeline.execute()
        except (RedisError, OSError) as error:
            self._fail("write", error)

    @property
    def answers(self) -> bool:
        """Whether Redis is asked at all at present."""
        return self._redis is not None and self._clock() >= self._closed_until

    def _fail(self, what: str, error: Exception) -> None:
        self._closed_until = self._clock() + self._settings.retry_after
        log.warning("cache_away", doing=what, error=f"{type(error).__name__}: {error}"[:200])


def _connect(settings: RedisSettings) -> Any:
    options: dict[str, Any] = {
        "username": settings.username,
        "password": settings.password.get_secret_value() if settings.password else None,
        "ssl_ca_certs": settings.ca_file,
    }
    return redis.Redis.from_url(
        settings.url,
        socket_timeout=settings.timeout,
        socket_connect_timeout=settings.timeout,
        # The pause after a failure is ours: the library's own retries would multiply the time limit.
        retry=Retry(NoBackoff(), 0),
        **{name: value for name, value in options.items() if value is not None},
    )
