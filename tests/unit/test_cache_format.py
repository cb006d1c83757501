"""A value in Redis is ours, whole and of the right width, or it is a miss."""

from __future__ import annotations

import numpy as np
import pytest

from worker import cache

EMBEDDING = np.linspace(-1, 1, 16, dtype=np.float16)


def test_what_was_packed_is_unpacked_bit_for_bit() -> None:
    unpacked = cache.unpack(cache.pack(EMBEDDING), 16)
    assert unpacked is not None
    np.testing.assert_array_equal(unpacked, EMBEDDING)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        cache.pack(EMBEDDING)[:-1],
        cache.pack(EMBEDDING) + b"\0",
        b"XX" + cache.pack(EMBEDDING)[2:],
        cache.pack(EMBEDDING)[:-1] + b"\xff",
        cache.pack(EMBEDDING[:8]),
        cache.pack(np.where(EMBEDDING == 1, np.float16(np.nan), EMBEDDING)),
        cache.pack(np.where(EMBEDDING == 1, np.float16(-np.inf), EMBEDDING)),
    ],
    ids=["empty", "garbage", "short", "long", "magic", "damaged", "width", "no number", "infinite"],
)
def test_what_does_not_fit_is_a_miss(value: bytes) -> None:
    assert cache.unpack(value, 16) is None


def test_a_key_tells_encoders_and_photos_apart_and_hides_the_address() -> None:
    keys = {cache.key(encoder, photo) for encoder in ("aa", "bb") for photo in ("url:https://h/1", "url:https://h/2")}
    assert len(keys) == 4
    assert not any("https" in key for key in keys)
