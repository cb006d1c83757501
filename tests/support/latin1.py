"""Header names as clients in C may write them."""

from __future__ import annotations


class Latin1(str):
    """A name that kafka-python writes in this encoding, and not in UTF-8."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return super().encode("latin-1")
