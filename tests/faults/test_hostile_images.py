"""Files made to hurt: each ends as pixels or as a reasoned rejection, in bounded time and memory, never as a crash."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random

import numpy as np
import pytest
from PIL import Image

from tests.unit.images import icc
from tests.unit.images.measuring import Cost, costs
from tests.unit.images.pictures import encode, photo, plain
from worker.errors import Reason, Rejected
from worker.images import DecodeLimits, decode

SECONDS = 3.0
PEAK = 64 << 20
MUTATIONS = 200


def good_files() -> dict[str, bytes]:
    """One file of every kind that is read, with the metadata that phones and editors write."""
    picture = photo((160, 120))
    clear = picture.convert("RGBA")
    clear.putalpha(128)
    sixteen = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    few = picture.quantize(32)
    second = [picture.rotate(90)]
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    p3 = icc.display_p3()
    return {
        "JPEG": encode(picture, "JPEG", exif=exif, icc_profile=p3),
        "progressive JPEG": encode(picture, "JPEG", progressive=True),
        "CMYK JPEG": encode(picture.convert("CMYK"), "JPEG", icc_profile=icc.inks()),
        "MPO": encode(picture, "MPO", save_all=True, append_images=second),
        "PNG": encode(clear, "PNG", exif=exif, icc_profile=p3),
        "palette PNG": encode(few, "PNG", transparency=bytes(range(32))),
        "16-bit PNG": encode(sixteen, "PNG", transparency=5),
        "APNG": encode(picture, "PNG", save_all=True, append_images=second),
        "GIF": encode(few, "GIF", transparency=3, save_all=True, append_images=second),
        "WebP": encode(clear, "WEBP", exif=exif, icc_profile=p3),
        "lossless WebP": encode(clear, "WEBP", lossless=True),
        "animated WebP": encode(picture, "WEBP", save_all=True, append_images=second),
        "BMP": encode(picture, "BMP"),
        "palette BMP": encode(few, "BMP"),
        "TIFF": encode(picture, "TIFF", icc_profile=p3),
        "16-bit TIFF": encode(sixteen, "TIFF"),
        "AVIF": encode(picture, "AVIF", exif=exif, icc_profile=p3, speed=10),
    }


def assert_bounded(found: dict[str, Cost]) -> None:
    """Every end has a reason, and none was dear."""
    reasons = {reason.value for reason in Reason}
    assert {name: cost for name, cost in found.items() if cost.outcome not in {"pixels", *reasons}} == {}
    assert {name: cost for name, cost in found.items() if cost.seconds > SECONDS or cost.peak > PEAK} == {}


# Damage


@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_files_end_as_pixels_or_as_a_reasoned_rejection(seed: int) -> None:
    """Bytes changed, cut out, put in, numbers of headers made extreme: 200 files a seed, in one process."""
    random, files = Random(seed), good_files()
    names = list(files)
    mutated = {f"{i} {names[i % len(names)]}": _mutate(files[names[i % len(names)]], random) for i in range(MUTATIONS)}
    found = costs(mutated)
    assert_bounded(found)
    assert len({cost.outcome for cost in found.values()}) >= 3


def _mutate(data: bytes, random: Random) -> bytes:
    mutable = bytearray(data)
    for _ in range(random.randint(1, 4)):
        # Most damage to the first bytes, where the numbers stand that decide about sizes.
        place = random.randrange(random.choice([60, 600, len(mutable)])) % len(mutable)
        match random.randrange(5):
            case 0:
                mutable[place] = random.randrange(256)
            case 1:
                extreme = random.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\0\x01\0\0"])
                mutable[place : place + 4] = extreme
            case 2:
                del mutable[place : place + random.randint(1, 40)]
            case 3:
                mutable[place:place] = random.randbytes(random.randint(1, 40))
            case _:
                for _ in range(20):
                    mutable[random.randrange(len(mutable))] = random.randrange(256)
    return bytes(mutable)


@pytest.mark.parametrize("name", list(good_files()))
def test_a_file_cut_short_is_never_taken_for_whole(name: str) -> None:
    """What is missing may have been the item for sale. (An animation needs no more than its first frame.)"""
    data = good_files()[name]
    first_frame_only = name in {"APNG", "GIF", "MPO", "animated WebP", "AVIF"}
    decode(data, 64)
    for percent in (1, 5, 10, 25) if first_frame_only else (1, 5, 10, 25, 50, 75, 90, 95):
        with pytest.raises(Rejected) as caught:
            decode(data[: len(data) * percent // 100], 64)
        assert caught.value.reason in {Reason.TRUNCATED_IMAGE, Reason.NOT_AN_IMAGE}, percent


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


def _jpeg_of_many_scans(scans: int, size: tuple[int, int] = (640, 480)) -> bytes:
    data = encode(plain("RGB", (200, 0, 0), size), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * scans + data[end:]


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
        }
    )
    assert {name: cost.outcome for name, cost in found.items()} == dict.fromkeys(found, "decompression_bomb")
    assert_bounded(found)


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


# Disguises


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\0" * 1000,
        b"just a text file named 1.jpg",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><image href='file:///etc/passwd'/></svg>",
        b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg>&x;</svg>",
        b"<!doctype html><title>Not found</title>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file",
        b"%PDF-1.7\n" + encode(plain("RGB", 0), "JPEG"),
        b"8BPS\0\1" + bytes(100),
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
        b"\0\0\0\x18ftypmp42\0\0\0\0" + bytes(100),
        b"PK\x03\x04" + bytes(100),
        b"push graphic-context\nviewbox 0 0 9 9\nfill 'url(https://127.0.0.1/|id)'\npop graphic-context",
        b"\x1f\x8b" + bytes(100),
        encode(plain("RGB", 0), "PPM"),
        encode(plain("RGB", 0), "TGA"),
        encode(plain("RGB", 0), "ICO"),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_what_is_no_picture_of_ours_is_not_opened(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        decode(data, 64)
    assert caught.value.reason is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize(
    "data",
    [
        b"BMW 320i, one owner",
        b"GIF89a/*<svg/onload=alert(1)>*/",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"\xff\xd8\xff" + b"text" * 99,
    ],
)
def test_a_signature_alone_makes_no_picture(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        decode(data, 64)
    assert caught.value.reason in {Reason.TRUNCATED_IMAGE, Reason.NOT_AN_IMAGE, Reason.UNUSABLE_IMAGE}


def test_of_a_polyglot_only_the_picture_is_seen() -> None:
    """A ZIP, a page or another picture behind the end of the file changes no pixel."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("a.txt", "a")
    page = b"<script>alert(1)</script>"
    for kind in ("JPEG", "PNG", "GIF"):
        picture = encode(plain("RGB", (200, 0, 0)), kind)
        for tail in (archive.getvalue(), page, encode(plain("RGB", (0, 0, 200)), "PNG")):
            assert np.array_equal(decode(picture + tail, 64), decode(picture, 64))


# All at once


def test_threads_do_not_disturb_each_other() -> None:
    """Profiles, transforms and the memory budget are shared; the pixels are those of one thread alone."""
    files = list(good_files().values())
    alone = [decode(data, 96) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: decode(data, 96), files * 6))
    assert all(np.array_equal(pixels, alone[i % len(files)]) for i, pixels in enumerate(together))


def test_an_error_of_ours_does_not_pass_for_a_damaged_picture() -> None:
    with pytest.raises(TypeError):
        decode(good_files()["PNG"], "64")  # type: ignore[arg-type]


def test_nothing_is_printed_warned_or_logged_about_a_strangers_file(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    random = Random(3)
    for data in good_files().values():
        for _ in range(10):
            with suppress(Rejected):
                decode(_mutate(data, random), 32)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
