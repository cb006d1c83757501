"""From a stranger's bytes to pixels: the one decoder of training and serving.

What general image code skips matters here, since colour is what we look for: ICC profiles, CMYK, 16 bits a channel,
transparency (put on white, as shops show it). The whole picture is kept in view: it is letterboxed on white.

Bytes are judged by what they are, never by a name or a content type, and a header that asks for too much is refused
before a pixel is decoded. Everything that Pillow does with hostile bytes ends in a ``Rejected`` with a reason.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import numpy.typing as npt
import structlog
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from worker.errors import Reason, Rejected
from worker.images.header import DecodeLimits, check, describe, memory_needed, sniff
from worker.images.memory import MemoryBudget, turn
from worker.images.profiles import to_srgb

Pixels = npt.NDArray[np.uint8]

_log = structlog.get_logger(__name__)
# Pillow also logs what it dislikes in a file; that is ours to say, once, in the rejection.
logging.getLogger("PIL").setLevel(logging.CRITICAL)
_budget = MemoryBudget()

_WHITE = (255, 255, 255)
# What Pillow raises on damaged files, beyond its own exceptions: its parsers index, unpack and inflate what they read,
# and the AVIF decoder knows RuntimeError only.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)
_TRANSPOSITION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LIMITS = DecodeLimits()


def decode(data: bytes, side: int, *, limits: DecodeLimits = _LIMITS) -> Pixels:
    """Decode a photo for an image encoder. Safe to call from several threads; most of the time the GIL is free.

    JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF are read, of animations the first frame. Upright by EXIF, sRGB by ICC
    profile, transparency on white, scaled with antialiasing so that the longer side fills ``side``, centred on white.

    Parameters:
        data: the file's bytes.
        side: width and height of the result in pixels.
        limits: see there.

    Returns:
        uint8 [side, side, 3], RGB, C-contiguous.

    Raises:
        Rejected: ``photo_too_large``, ``not_an_image``, ``truncated_image`` (cut short or damaged),
            ``decompression_bomb`` or ``unusable_image``.
    """
    with _loaded(data, limits, side) as (image, box, orientation, profile):
        small = _scale(image, side, box)
    del image
    upright, alpha = _upright(small, orientation, profile)
    return _on_white(upright, alpha, (side, side))


def decode_whole(data: bytes, *, limits: DecodeLimits = _LIMITS) -> Pixels:
    """Decode a photo at its own size, otherwise as ``decode`` does: training cuts items out of it.

    Returns:
        uint8 [height, width, 3], RGB, C-contiguous.

    Raises:
        Rejected: as ``decode``.
    """
    with _loaded(data, limits) as (image, _, orientation, profile):
        upright, alpha = _upright(image, orientation, profile)
        return _on_white(upright, alpha, upright.size)


_Box = tuple[float, float, float, float]


@contextmanager
def _loaded(
    data: bytes, limits: DecodeLimits, side: int | None = None
) -> Iterator[tuple[Image.Image, _Box | None, int, bytes | None]]:
    """The pixels in a plain mode, within the memory budget while the block lasts.

    Parameters:
        side: of what the picture will be scaled to, so that libjpeg may leave detail out; None: it is not scaled.

    Yields:
        the picture, which part of it is meant (None: all), EXIF orientation, ICC profile.
    """
    if len(data) > limits.max_bytes:
        raise Rejected(Reason.PHOTO_TOO_LARGE, f"the file has {len(data)} bytes, more than {limits.max_bytes}")
    _ignore_warnings()
    name = sniff(data)
    with _damage_as_rejection(name):
        image = Image.open(io.BytesIO(data), formats=[name])
    # Fed at once instead of in blocks of 64 kB: the decoder asks for the interpreter's lock after each.
    image.decodermaxblock = max(len(data), ImageFile.MAXBLOCK)
    check(image, limits)
    full = image.size
    box = None if side is None else _draft(image, side)
    needed = memory_needed(image, full, data, limits)
    part = limits.max_memory // limits.share
    with _budget.hold(needed, part), turn(limits.turns if needed > part else None):
        with _damage_as_rejection(name):
            image.load()
            plain = _plain_mode(image)
        orientation, profile = _orientation(image), image.info.get("icc_profile")
        del image
        yield plain, box, orientation, profile if isinstance(profile, bytes) else None


def _draft(image: Image.Image, side: int) -> _Box | None:
    """Let libjpeg decode at 1/2, 1/4 or 1/8, while the result stays at least twice as large as what is needed.

    Measured at side 224 against scaling the full picture: 12 MP in 45 ms of CPU instead of 255, 1.2 MP in 12 instead
    of 28; mean difference below 1 of 255, of the mean colour below 0.1. Down to 1.0 times it is 1.5 to 2.
    """
    width, height = _fit(image.size, 2 * side)
    drafted = image.draft(None, (width, height))
    return drafted[1] if drafted else None


def _plain_mode(image: Image.Image) -> Image.Image:
    """To one of the modes that can be scaled: RGB, RGBA, L, LA or CMYK, with 8 bits a channel."""
    match image.mode:
        case "I;16" | "I;16L" | "I;16B" | "I;16N":
            return _eight_bits(image)
        case "RGB" if "transparency" in image.info:
            return image.convert("RGBA")
        case "1" | "L" if "transparency" in image.info:
            return image.convert("LA")
        case "RGB" | "RGBA" | "L" | "LA" | "CMYK":
            return image
        case "P" | "PA" | "RGBa" | "La":
            return image.convert("RGBA" if image.has_transparency_data else "RGB")
        case "1":
            return image.convert("L")
        case "RGBX" | "YCbCr":
            return image.convert("RGB")
        case _:
            raise Rejected(Reason.UNUSABLE_IMAGE, f"{describe(image)} holds {image.mode} samples, which no photo does")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits by its upper byte, as Pillow does for RGB; its own conversion would clip at 255."""
    samples = np.asarray(image)
    grey = Image.fromarray((samples >> 8).astype(np.uint8))
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(samples == clear, np.uint8(0), np.uint8(255))))
    return grey


def _scale(image: Image.Image, side: int, box: _Box | None) -> Image.Image:
    """Scale before colours are converted, on a hundredth of the pixels; Pillow weighs colours by their opacity."""
    box = box or (0, 0, *image.size)
    size = _fit((box[2], box[3]), side)
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _upright(image: Image.Image, orientation: int, profile: bytes | None) -> tuple[Image.Image, Image.Image | None]:
    """The picture in sRGB as it is to be looked at, and its opacity."""
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    if alpha is not None:
        image = image.convert(image.mode[:-1])
    image = to_srgb(image, profile)
    transposition = _TRANSPOSITION.get(orientation)
    if transposition is not None:
        image = image.transpose(transposition)
        alpha = alpha.transpose(transposition) if alpha is not None else None
    return image, alpha


def _on_white(image: Image.Image, alpha: Image.Image | None, size: tuple[int, int]) -> Pixels:
    """In the middle of a white canvas of this width and height."""
    canvas = Image.new("RGB", size, _WHITE)
    canvas.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2), alpha)
    return np.array(canvas)


def _fit(size: tuple[float, float], side: int) -> tuple[int, int]:
    """Width and height, scaled so that the longer is ``side`` and the shorter at least 1."""
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _orientation(image: Image.Image) -> int:
    try:
        return cast("int", image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGE:
        # Broken metadata is common and does not make a picture unusable.
        return 1


@contextmanager
def _damage_as_rejection(name: str) -> Iterator[None]:
    """Around calls of Pillow only: an error of our own code must not pass for a damaged picture."""
    try:
        yield
    except Rejected:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise Rejected(Reason.DECOMPRESSION_BOMB, f"{name}: {error}") from error
    except UnidentifiedImageError as error:
        raise Rejected(Reason.TRUNCATED_IMAGE, f"{name}: the header is damaged or cut short") from error
    except _DAMAGE as error:
        raise Rejected(Reason.TRUNCATED_IMAGE, f"{name}: {error}") from error
    except Exception as error:
        _log.exception("pillow_failed_unexpectedly", format=name)
        raise Rejected(Reason.TRUNCATED_IMAGE, f"{name}: {type(error).__name__}: {error}") from error


def _ignore_warnings() -> None:
    """Pillow warns of odd metadata through ``warnings``; strangers' files must not fill our log with that.

    A filter rather than ``catch_warnings``, which is not safe with threads. Repeated calls add nothing.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
