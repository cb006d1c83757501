"""Where the picture lies in the square that comes out."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.unit.images.pictures import FOUR, Pixels, corners, encode, photo, plain
from worker.images import DecodeLimits, decode

# What a camera has to do to ``corners()`` so that EXIF's orientation undoes it: the stored picture for each value.
_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _corner_colours(pixels: Pixels) -> list[tuple[int, ...]]:
    height, width, _ = pixels.shape
    places = ((0.35, 0.2), (0.35, 0.8), (0.65, 0.2), (0.65, 0.8))
    return [tuple(int(v) for v in pixels[int(height * down), int(width * right)]) for down, right in places]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_exif_orientation_comes_out_upright(orientation: int, kind: str) -> None:
    turn = _STORED[orientation]
    stored = corners() if turn is None else corners().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(encode(stored, kind, exif=exif), 96)
    for seen, meant in zip(_corner_colours(pixels), FOUR, strict=True):
        assert seen == pytest.approx(meant, abs=12)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode(encode(corners(), "JPEG", exif=exif), 96), decode(encode(corners(), "JPEG"), 96))


def test_broken_exif_is_ignored() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(40)):
        assert np.array_equal(decode(encode(corners(), "JPEG", exif=exif), 96), decode(encode(corners(), "JPEG"), 96))


@pytest.mark.parametrize("side", [1, 17, 128, 224, 384])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (64, 64), (60, 80), (500, 300), (1001, 77)])
def test_the_result_is_a_contiguous_square_of_bytes(side: int, size: tuple[int, int]) -> None:
    pixels = decode(encode(plain("RGB", (9, 9, 9), size), "PNG"), side)
    assert pixels.shape == (side, side, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(400, 200), (200, 400), (1600, 800), (37, 74)])
def test_the_whole_picture_lies_in_the_middle_of_white(kind: str, size: tuple[int, int]) -> None:
    pixels = decode(encode(plain("RGB", (0, 0, 0), size), kind), 100)
    dark = np.argwhere((pixels < 128).all(axis=2))
    (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0)
    wide = size[0] > size[1]
    assert (left, right) == ((0, 99) if wide else (25, 74))
    assert (top, bottom) == ((25, 74) if wide else (0, 99))
    assert (pixels[:24] == 255).all() if wide else (pixels[:, :24] == 255).all()


def test_a_small_picture_is_enlarged() -> None:
    assert (decode(encode(plain("RGB", (0, 0, 0), (6, 6)), "PNG"), 100) == 0).all()


@pytest.mark.parametrize("size", [(1280, 960), (2001, 1503)])
def test_drafting_a_jpeg_changes_next_to_nothing(size: tuple[int, int]) -> None:
    """Against the same pixels from a PNG, which has no draft mode."""
    data = encode(photo(size), "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as image:
        exact = decode(encode(image.convert("RGB"), "BMP"), 224, limits=DecodeLimits(max_bytes=1 << 30))
    drafted = decode(data, 224)
    apart = np.abs(drafted.astype(int) - exact.astype(int))
    assert apart.mean() < 1.5
    assert np.percentile(apart, 99) <= 8
    assert np.abs(drafted.mean((0, 1)) - exact.mean((0, 1))).max() < 0.3
