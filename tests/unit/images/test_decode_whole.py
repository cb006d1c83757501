"""Photos at their own size, as training cuts items out of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.unit.images import icc
from tests.unit.images.pictures import corners, encode, photo, plain
from worker.errors import Rejected
from worker.images import decode, decode_whole


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_square_photo_is_what_decoding_to_its_own_side_gives(kind: str) -> None:
    data = encode(photo((96, 96)), kind)
    np.testing.assert_array_equal(decode_whole(data), decode(data, 96))


def test_it_keeps_its_size_and_is_turned_upright() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    upright = decode_whole(encode(corners((96, 64)), "PNG", exif=turned))
    assert upright.shape == (96, 64, 3)
    np.testing.assert_array_equal(upright, np.asarray(corners((96, 64)).transpose(Image.Transpose.ROTATE_270)))


def test_its_profile_counts_and_what_is_clear_is_white() -> None:
    data = encode(plain("RGBA", (200, 20, 25, 0)), "PNG")
    assert (decode_whole(data) == 255).all()
    wide = encode(plain("RGB", (200, 20, 25)), "JPEG", icc_profile=icc.display_p3())
    np.testing.assert_array_equal(decode_whole(wide), decode(wide, 64))
    assert (decode_whole(wide) != decode_whole(encode(plain("RGB", (200, 20, 25)), "JPEG"))).any()


def test_an_empty_file_is_rejected() -> None:
    with pytest.raises(Rejected):
        decode_whole(b"")
