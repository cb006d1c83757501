from __future__ import annotations

import base64
import tracemalloc

import pytest

from worker.errors import Reason, Rejected
from worker.images import decode_inline


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_base64_comes_back_as_bytes_up_to_the_limit(size: int) -> None:
    data = bytes(range(256)) * 4
    assert decode_inline(base64.b64encode(data[:size]).decode(), size) == data[:size]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_one_byte_above_the_limit_is_too_large(size: int) -> None:
    with pytest.raises(Rejected) as caught:
        decode_inline(base64.b64encode(bytes(size)).decode(), size - 1)
    assert caught.value.reason is Reason.PHOTO_TOO_LARGE


@pytest.mark.parametrize(
    "data", ["", "A", "AAA", "AA=A", "AAAA====", "AA\nAA", " AAAA", "AA-_", "data:image/png;base64,AAAA", "ф"]
)
def test_what_is_not_strict_base64_is_an_invalid_event(data: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode_inline(data, 1000)
    assert caught.value.reason is Reason.INVALID_EVENT


def test_much_base64_is_refused_before_it_is_decoded() -> None:
    data = "A" * (64 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(Rejected):
            decode_inline(data, 20 << 20)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
