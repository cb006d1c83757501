"""Files made to hurt: each ends as pixels or as a reasoned rejection, in bounded time and memory, never as a crash."""

from __future__ import annotations

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random

import numpy as np
import pytest
from PIL import Image

from tests.unit.images import icc
from tests.unit.images.measuring import assert_bounded, costs
from tests.unit.images.pictures import encode, photo, plain
from worker.errors import Reason, Rejected
from worker.images import decode

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


# Disguises


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "nothing (0 bytes)"),
        (b"\xff", "unknown data"),
        (b"\0" * 1000, "unknown data"),
        (b"just a text file named 1.jpg", "text"),
        ("платье, красное".encode() * 99, "text"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", "an SVG"),
        (b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg>&x;</svg>", "an SVG"),
        (b"<!doctype html><title>Not found</title>", "a web page"),
        (b'{"error": "not found"}', "JSON"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file", "PostScript"),
        (b"%PDF-1.7\n" + encode(plain("RGB", 0), "JPEG"), "a PDF"),
        (b"8BPS\0\1" + bytes(100), "a Photoshop document"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100), "JPEG 2000"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "HEIC"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0" + bytes(100), "a video"),
        (b"PK\x03\x04" + bytes(100), "a ZIP archive"),
        (b"push graphic-context\nfill 'url(https://127.0.0.1/|id)'\npop graphic-context", "text"),
        (b"\x1f\x8b" + bytes(100), "gzip"),
        (encode(plain("RGB", 0), "PPM"), "unknown data"),
        (encode(plain("RGB", 0), "TGA"), "unknown data"),
        (encode(plain("RGB", 0), "ICO"), "an icon"),
    ],
    ids=lambda value: repr(value[:8]) if isinstance(value, bytes) else "",
)
def test_what_is_no_picture_of_ours_is_not_opened_and_called_by_its_kind(data: bytes, kind: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode(data, 64)
    assert caught.value.reason is Reason.NOT_AN_IMAGE
    assert caught.value.message == f"the file is {kind}: no picture that is read here"


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
