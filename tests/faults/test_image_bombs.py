"""Files whose headers promise too much or nothing: refused before a pixel is decoded, or bounded."""

from __future__ import annotations

import struct
import zlib

import pytest

from tests.unit.images.measuring import assert_bounded, costs
from tests.unit.images.pictures import encode, plain
from worker.errors import Reason, Rejected
from worker.images import DecodeLimits, decode

# Bombs


def _png(width: int, height: int, *, extra: bytes = b"", rows: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _jpeg_of(width: int, height: int, *, progressive: bool = False) -> bytes:
    data = bytearray(encode(plain("RGB", (200, 0, 0), (64, 64)), "JPEG", progressive=progressive))
    frame = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _jpeg_of_many_scans(scans: int, size: tuple[int, int] = (640, 480), *, progressive: bool = True) -> bytes:
    data = encode(plain("RGB", (200, 0, 0), size), "JPEG", progressive=progressive)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * scans + data[end:]


def _baseline_jpeg_of_many_scans(scans: int) -> bytes:
    """Its scans have one component each, so that libjpeg keeps the whole picture between them."""
    data = encode(plain("RGB", (200, 0, 0), (640, 480)), "JPEG")
    first, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    alone = struct.pack(">HHBBBBBB", 0xFFDA, 8, 1, 1, 0, 0, 63, 0) + data[first + 14 : end]
    return data[:first] + alone * scans + data[end:]


def _webp_of(width: int, height: int) -> bytes:
    data = bytearray(encode(plain("RGB", 0), "WEBP", lossless=True))
    start = data.index(b"VP8L") + 9
    bits = int.from_bytes(data[start : start + 4], "little") >> 28 << 28
    data[start : start + 4] = (bits | (width - 1) | (height - 1) << 14).to_bytes(4, "little")
    return bytes(data)


def _gif_of(width: int, height: int, frame: tuple[int, int] = (64, 64)) -> bytes:
    data = bytearray(encode(plain("P", 0), "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    descriptor = data.index(b"," + struct.pack("<4H", 0, 0, 64, 64))
    data[descriptor + 5 : descriptor + 9] = struct.pack("<HH", *frame)
    return bytes(data)


def _bmp_of(width: int, height: int) -> bytes:
    data = bytearray(encode(plain("RGB", 0), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def test_bombs_are_refused_by_their_headers() -> None:
    found = costs(
        {
            "PNG": _png(20_000, 20_000),
            "PNG of the largest size": _png(0x7FFFFFFF, 0x7FFFFFFF),
            "PNG below the limit of pixels": _png(9_900, 9_900),
            "JPEG": _jpeg_of(65_000, 65_000),
            "progressive JPEG": _jpeg_of(65_000, 65_000, progressive=True),
            "GIF": _gif_of(65_535, 65_535),
            "GIF of one large frame": _gif_of(64, 64, frame=(65_535, 65_535)),
            "WebP": _webp_of(16_383, 16_383),
            "WebP below Pillow's limit": _webp_of(13_000, 13_000),
            "WebP below the limit of pixels": _webp_of(9_900, 9_900),
            "BMP": _bmp_of(60_000, 60_000),
            "JPEG of 5,000 scans": _jpeg_of_many_scans(5_000),
            "48 MP in 50 scans": _jpeg_of_many_scans(40, (8_000, 6_000)),
            "baseline JPEG of 2,000 scans": _baseline_jpeg_of_many_scans(2_000),
        }
    )
    assert {name: cost.outcome for name, cost in found.items()} == dict.fromkeys(found, "decompression_bomb")
    assert_bounded(found)


def test_scans_behind_the_only_one_of_a_jpeg_are_not_walked_through() -> None:
    found = costs(
        {
            "1,000 more scans": _jpeg_of_many_scans(1_000, progressive=False),
            "48 MP, and 10 more": _jpeg_of_many_scans(10, (8_000, 6_000), progressive=False),
        }
    )
    assert {cost.outcome for cost in found.values()} == {"truncated_image"}
    assert_bounded(found)


def test_a_film_behind_a_phones_photo_is_not_taken_for_scans_of_it() -> None:
    picture = encode(plain("RGB", (200, 0, 0), (640, 480)), "JPEG")
    film = b"....ftypmp42" + b"any bytes, \xff\xda among them" * 1_000
    assert (decode(picture + film, 64) == decode(picture, 64)).all()


def test_large_honest_photos_are_decoded() -> None:
    """A phone's 48 MP at an eighth of its size; a hundred PNG rows that inflate a thousandfold."""
    big = encode(plain("RGB", (200, 0, 0), (8000, 6000)), "JPEG", quality=60)
    found = costs({"48 MP": big, "flat PNG": encode(plain("RGB", (200, 0, 0), (2000, 2000)), "PNG")})
    assert {cost.outcome for cost in found.values()} == {"pixels"}
    assert_bounded(found)


def test_bombs_in_metadata_cost_nothing() -> None:
    zeros = zlib.compress(bytes(200 << 20), 9)
    rows = (b"\0" + bytes([200, 0, 0] * 64)) * 64
    found = costs(
        {
            "profile": _png(64, 64, rows=rows, extra=_chunk(b"iCCP", b"p\0\0" + zeros)),
            "text": _png(64, 64, rows=rows, extra=_chunk(b"zTXt", b"t\0\0" + zeros)),
            "international text": _png(64, 64, rows=rows, extra=_chunk(b"iTXt", b"t\0\1\0\0\0" + zeros)),
            "too many pixels for the header": _png(64, 64, rows=bytes(200 << 20)),
            "200 texts": _png(64, 64, rows=rows, extra=_chunk(b"zTXt", b"t\0\0" + zlib.compress(bytes(1 << 20))) * 200),
        }
    )
    assert_bounded(found)


def test_metadata_that_leads_in_circles_comes_to_an_end() -> None:
    directory = struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + directory
    tiff = b"II*\0" + struct.pack("<I", 8) + directory
    found = costs({"EXIF": encode(plain("RGB", 0), "JPEG", exif=exif), "TIFF": tiff})
    assert found["EXIF"].outcome == "pixels"
    assert_bounded(found)


def test_a_tiff_does_not_choose_its_codec_or_tiles() -> None:
    fax = encode(plain("1", 1), "TIFF", compression="group4")
    with pytest.raises(Rejected, match="compression") as caught:
        decode(fax, 64)
    assert caught.value.reason is Reason.UNUSABLE_IMAGE


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(Rejected) as caught:
        decode(bytes(101), 64, limits=DecodeLimits(max_bytes=100))
    assert caught.value.reason is Reason.PHOTO_TOO_LARGE


# Shapes


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (5, 1_000)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_line_is_no_photo(size: tuple[int, int], kind: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode(encode(plain("RGB", 0, size), kind), 224)
    assert caught.value.reason is Reason.UNUSABLE_IMAGE


@pytest.mark.parametrize(
    "data",
    [
        _png(0, 0),
        _png(0, 10),
        _png(10, 0),
        _jpeg_of(0, 0),
        _jpeg_of(64, 0),
        _bmp_of(0, 0),
        _bmp_of(0, 9),
    ],
)
def test_nothing_at_all_is_no_photo(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        decode(data, 224)
    assert caught.value.reason in {Reason.NOT_AN_IMAGE, Reason.TRUNCATED_IMAGE, Reason.UNUSABLE_IMAGE}
