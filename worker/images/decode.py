"""From a stranger's bytes to pixels: the one decoder of training and serving.

What general image code skips matters here, since colour is what we look for: ICC profiles, CMYK, 16 bits a channel,
transparency (put on white, as shops show it). The whole picture is kept in view: it is letterboxed on white.

Bytes are judged by what they are, never by a name or a content type, and a header that asks for too much is refused
before a pixel is decoded. Everything that Pillow does with hostile bytes ends in a ``Rejected`` with a reason.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import structlog
from PIL import ExifTags, Image, UnidentifiedImageError

from worker.errors import Reason, Rejected
from worker.images.memory import MemoryBudget
from worker.images.profiles import to_srgb

Pixels = npt.NDArray[np.uint8]

_log = structlog.get_logger(__name__)
_budget = MemoryBudget()

_WHITE = (255, 255, 255)
# What Pillow raises on damaged files, beyond its own exceptions: its parsers index, unpack and inflate what they read.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
# Bytes of memory for a pixel while a file is decoded at full size, measured (tests/unit/images/test_decode_memory.py).
_BYTES_PER_PIXEL = {
    "JPEG": 4,
    "MPO": 4,
    "PNG": 8,
    "WEBP": 16,
    "AVIF": 16,
    "GIF": 8,
    "BMP": 8,
    "TIFF": 12,
}
_TRANSPOSITION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """How much of a picture is taken.

    Parameters:
        max_bytes: of the file.
        max_pixels: width times height by the file's header; at most 178,956,970, where Pillow itself refuses.
        max_memory: bytes of memory that all decoding in this process may need at once. A picture that alone needs more
            is refused; others wait for each other.
        max_aspect: the long side over the short one; beyond it a picture letterboxed for an encoder has nothing left.
        max_scans: of a progressive JPEG; each costs a pass over the whole picture. Encoders write about ten.
    """

    max_bytes: int = 20 << 20
    max_pixels: int = 100_000_000
    max_memory: int = 384 << 20
    max_aspect: float = 40.0
    max_scans: int = 64


def decode(data: bytes, side: int, *, limits: DecodeLimits = DecodeLimits()) -> Pixels:
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
    if len(data) > limits.max_bytes:
        raise Rejected(
            Reason.PHOTO_TOO_LARGE,
            f"the file has {len(data)} bytes, more than {limits.max_bytes}",
        )
    _ignore_warnings()
    name = sniff(data)
    with _damage_as_rejection(name):
        image = Image.open(io.BytesIO(data), formats=[name])
    _check_header(image, limits)
    box = _draft(image, side)
    needed = _memory_needed(image, data, limits)
    if needed > limits.max_memory:
        raise Rejected(
            Reason.DECOMPRESSION_BOMB,
            f"{_describe(image)} needs about {needed >> 20} MiB to decode, more than {limits.max_memory >> 20}",
        )
    with _budget.hold(needed, limits.max_memory):
        with _damage_as_rejection(name):
            image.load()
        orientation = _orientation(image)
        profile = image.info.get("icc_profile")
        small = _scale(_simple_mode(image), side, box)
        del image
    return _letterbox(small, side, orientation, profile)


def sniff(data: bytes) -> str:
    """The name that Pillow has for the kind of file that ``data`` is, by its first bytes.

    Raises:
        Rejected: ``not_an_image``, for every kind that we do not read.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"BM"):
        return "BMP"
    if data.startswith((b"II*\0", b"MM\0*")):
        return "TIFF"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1", b"msf1"):
        return "AVIF"
    raise Rejected(
        Reason.NOT_AN_IMAGE,
        f"the file begins with {data[:12]!r}: no kind of picture that is read here",
    )


def _check_header(image: Image.Image, limits: DecodeLimits) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise Rejected(Reason.NOT_AN_IMAGE, f"{_describe(image)} has no pixels")
    if width * height > limits.max_pixels:
        raise Rejected(
            Reason.DECOMPRESSION_BOMB,
            f"{_describe(image)} has more than {limits.max_pixels} pixels",
        )
    if max(width, height) > limits.max_aspect * min(width, height):
        raise Rejected(
            Reason.UNUSABLE_IMAGE,
            f"{_describe(image)} is longer than {limits.max_aspect:g} times its width",
        )


def _draft(image: Image.Image, side: int) -> tuple[float, float, float, float] | None:
    """Let libjpeg decode at 1/2, 1/4 or 1/8, while the result stays at least twice as large as what is needed."""
    width, height = _fit(image.size, 2 * side)
    drafted = image.draft(None, (width, height))
    return drafted[1] if drafted else None


def _memory_needed(image: Image.Image, data: bytes, limits: DecodeLimits) -> int:
    return image.width * image.height * _BYTES_PER_PIXEL[image.format or ""] + len(data)


def _simple_mode(image: Image.Image) -> Image.Image:
    """To one of the modes that can be scaled: RGB, RGBA, L, LA, CMYK, 8 bits a channel."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) * 255 // 65535).astype(np.uint8))
    if image.mode in ("RGB", "L") and "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("RGB", "RGBA", "L", "LA", "CMYK"):
        return image
    if image.mode in ("P", "PA", "RGBa", "La"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("RGBX", "YCbCr"):
        return image.convert("RGB")
    raise Rejected(
        Reason.UNUSABLE_IMAGE,
        f"{_describe(image)} holds {image.mode} samples, which no photo does",
    )


def _scale(image: Image.Image, side: int, box: tuple[float, float, float, float] | None) -> Image.Image:
    box = box or (0, 0, *image.size)
    size = _fit((box[2], box[3]), side)
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _letterbox(image: Image.Image, side: int, orientation: int, profile: bytes | None) -> Pixels:
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    if alpha is not None:
        image = image.convert(image.mode[:-1])
    image = to_srgb(image, profile)
    if transposition := _TRANSPOSITION.get(orientation):
        image = image.transpose(transposition)
        alpha = alpha.transpose(transposition) if alpha is not None else None
    canvas = Image.new("RGB", (side, side), _WHITE)
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2), alpha)
    return np.array(canvas)


def _fit(size: tuple[float, float], side: int) -> tuple[int, int]:
    """Width and height, scaled so that the longer is ``side`` and the shorter at least 1."""
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _orientation(image: Image.Image) -> int:
    try:
        return cast(int, image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGE:
        # Broken metadata is common and does not make a picture unusable.
        return 1


def _describe(image: Image.Image) -> str:
    return f"a {image.format} of {image.width}x{image.height}"


@contextmanager
def _damage_as_rejection(name: str) -> Iterator[None]:
    """Around calls of Pillow only: an error of our own code must not pass for a damaged picture."""
    try:
        yield
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
