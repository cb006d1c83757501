"""What a picture's first bytes and header say, and whether that is acceptable: judged before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from worker.errors import Reason, Rejected
from worker.images import foreign

# Bytes of memory a pixel while a file is decoded at full size, buffers of the codec included. Measured: PNG 4.3 to 9.3,
# WebP 16.3, AVIF 9.7 at 8 bits, TIFF 4.3 to 8.4, BMP 4.3; tests/unit/images/test_decode_memory.py holds them to it.
_BYTES_PER_PIXEL = {"JPEG": 5, "MPO": 5, "PNG": 10, "WEBP": 17, "AVIF": 16, "GIF": 10, "BMP": 8, "TIFF": 10}
# How many scans a JPEG of ``max_pixels`` may have; smaller ones more. 64 MP in ten scans take about a second.
_SCANS_OF_THE_LARGEST = 16
_TIFF_TILE_WIDTH, _TIFF_TILE_LENGTH = 322, 323


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """How much of a picture is taken.

    Parameters:
        max_bytes: of the file.
        max_pixels: width times height by the file's header; at most 178,956,970, where Pillow itself refuses.
        max_memory: bytes of memory that decoding may need at once. A picture that alone needs more is refused; others
            wait for each other.
        share: processes that keep to ``max_memory`` together, each to an equal part of it. A picture that needs more
            than that part waits until it is the only such one in all of them, so they never hold twice ``max_memory``.
        turns: the file by whose lock these processes let such pictures take turns; ``None``: there is one process.
        max_aspect: the long side over the short one; beyond it a picture letterboxed for an encoder has nothing left.
        max_scans: of a progressive JPEG; each costs a pass over the whole picture. Encoders write about ten.
    """

    max_bytes: int = 20 << 20
    max_pixels: int = 100_000_000
    max_memory: int = 384 << 20
    share: int = 1
    turns: Path | None = None
    max_aspect: float = 40.0
    max_scans: int = 64


def sniff(data: bytes) -> str:
    """The name that Pillow has for the kind of file that ``data`` is, by its first bytes.

    Left out on purpose: formats that are programs (SVG, EPS, PDF), that browsers do not show (PSD, JPEG 2000, ...), or
    that Pillow cannot read (HEIC).

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
    raise Rejected(Reason.NOT_AN_IMAGE, f"the file is {foreign.kind(data)}: no picture that is read here")


def describe(image: Image.Image) -> str:
    """``a JPEG of 640x480``, for messages."""
    return f"a {image.format} of {image.width}x{image.height}"


def check(image: ImageFile.ImageFile, limits: DecodeLimits) -> None:
    """Refuse what could not be decoded to anything useful, or only at too high a price.

    Parameters:
        image: as ``Image.open`` returned it, not loaded.

    Raises:
        Rejected: ``not_an_image``, ``decompression_bomb`` or ``unusable_image``.
    """
    width, height = image.size
    if width < 1 or height < 1:
        raise Rejected(Reason.NOT_AN_IMAGE, f"{describe(image)} has no pixels")
    if width * height > limits.max_pixels:
        raise Rejected(Reason.DECOMPRESSION_BOMB, f"{describe(image)} has more than {limits.max_pixels} pixels")
    if max(width, height) > limits.max_aspect * min(width, height):
        raise Rejected(
            Reason.UNUSABLE_IMAGE, f"{describe(image)}: one side is more than {limits.max_aspect:g} times the other"
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_tiff(image, limits)


def memory_needed(image: ImageFile.ImageFile, full: tuple[int, int], data: bytes, limits: DecodeLimits) -> int:
    """About how many bytes of memory the decoding of ``data`` takes at its highest.

    Parameters:
        image: as ``Image.draft`` left it: a JPEG has the size at which it will be decoded.
        full: width and height before that.

    Raises:
        Rejected: ``decompression_bomb``, if it is more than ``limits.max_memory``, or for a JPEG of too many scans.
    """
    needed = image.width * image.height * _BYTES_PER_PIXEL[image.format or ""] + len(data)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        needed += _coefficients(image, full, data, limits)
    if needed > limits.max_memory:
        raise Rejected(
            Reason.DECOMPRESSION_BOMB,
            f"a {image.format} of {full[0]}x{full[1]} takes about {needed >> 20} MiB to decode, "
            f"more than {limits.max_memory >> 20} MiB",
        )
    return needed


def _coefficients(
    image: JpegImagePlugin.JpegImageFile, full: tuple[int, int], data: bytes, limits: DecodeLimits
) -> int:
    """Bytes that libjpeg keeps between the scans of a JPEG that has several: two for each sample, at full size.

    A file of a few kB can hold thousands of scans that each walk over the whole picture.
    """
    first = image.fp.tell() if image.fp else 0
    if "progressive" not in image.info and _all_in_one(image, data, first):
        return 0
    # Inside compressed data, FF is always followed by 00.
    scans = 1 + data.count(b"\xff\xda", first)
    allowed = min(limits.max_scans, _SCANS_OF_THE_LARGEST * limits.max_pixels // max(1, full[0] * full[1]))
    if scans > allowed:
        raise Rejected(
            Reason.DECOMPRESSION_BOMB,
            f"a JPEG of {full[0]}x{full[1]} in {scans} scans; at most {allowed} are decoded",
        )
    if scans == 1:
        return 0
    across, down = max(layer[1] for layer in image.layer), max(layer[2] for layer in image.layer)
    samples = sum(layer[1] * layer[2] for layer in image.layer) / (across * down)
    return round(2 * samples * full[0] * full[1])


def _all_in_one(image: JpegImagePlugin.JpegImageFile, data: bytes, first: int) -> bool:
    """Whether the first scan has every component: where none is progressive, libjpeg then reads no other scan.

    Parameters:
        first: where Pillow stands, behind the first scan's header: FF DA, its length, how many components and which.
    """
    components = len(image.layer)
    length = 6 + 2 * components
    header = data[max(0, first - length - 2) : first]
    return header[:5] == b"\xff\xda" + length.to_bytes(2) + components.to_bytes(1)


def _check_tiff(image: TiffImagePlugin.TiffImageFile, limits: DecodeLimits) -> None:
    """Only uncompressed TIFFs are read, as scanners write them, and only of tiles that could belong to a photo.

    All others go through libtiff, which has a codec for every fax machine, and prints to stderr what it thinks of a
    damaged file.
    """
    compression = image.info.get("compression")
    if compression != "raw":
        raise Rejected(Reason.UNUSABLE_IMAGE, f"a TIFF with compression {str(compression)[:20]!r}; only 'raw' is read")
    tile = image.tag_v2.get(_TIFF_TILE_WIDTH, 0), image.tag_v2.get(_TIFF_TILE_LENGTH, 0)
    if not all(isinstance(size, int) for size in tile):
        raise Rejected(Reason.TRUNCATED_IMAGE, "a TIFF with tiles whose sizes are no numbers")
    if tile[0] * tile[1] > limits.max_memory // _BYTES_PER_PIXEL["TIFF"]:
        raise Rejected(Reason.DECOMPRESSION_BOMB, f"a TIFF with tiles of {tile[0]}x{tile[1]}")
