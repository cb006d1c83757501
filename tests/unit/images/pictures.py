"""Pictures made for the decoder's tests, and what is measured on the result."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The file's bytes; a JPEG in the best quality, unless told otherwise."""
    file = io.BytesIO()
    if kind == "JPEG":
        options = {"quality": 95, "subsampling": 0} | options
    image.save(file, kind, **options)
    return file.getvalue()


def plain(mode: str, colour: Any, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A picture of one colour."""
    return Image.new(mode, size, colour)


def corners(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Red and green above, blue and yellow below: no turn or mirroring leaves it as it is."""
    image = Image.new("RGB", size)
    width, height = size[0] // 2, size[1] // 2
    for place, colour in zip(((0, 0), (width, 0), (0, height), (width, height)), FOUR, strict=True):
        image.paste(colour, (*place, place[0] + width, place[1] + height))
    return image


FOUR: tuple[Colour, ...] = ((220, 20, 20), (20, 160, 20), (20, 20, 220), (230, 220, 20))


def photo(size: tuple[int, int] = (640, 480), seed: int = 0) -> Image.Image:
    """Soft blotches of colour with some grain: compresses about as a photograph does."""
    rng = np.random.default_rng(seed)
    layers = []
    for step in (4, 32, 128):
        coarse = rng.integers(0, 256, (max(2, size[1] // step), max(2, size[0] // step), 3), np.uint8)
        layers.append(np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.float32))
    return Image.fromarray((0.15 * layers[0] + 0.35 * layers[1] + 0.5 * layers[2]).astype(np.uint8))


def middle(pixels: Pixels) -> Colour:
    """The colour in the middle."""
    red, green, blue = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2]
    return int(red), int(green), int(blue)


def difference(one: Colour, other: Colour) -> float:
    """ΔE2000 of two sRGB colours."""
    labs = [rgb2lab(np.array(colour, np.float64) / 255) for colour in (one, other)]
    return float(deltaE_ciede2000(*labs))  # type: ignore[no-untyped-call]
