"""What colour comes out of a file, whatever way the file writes it."""

from __future__ import annotations

import struct
import zlib
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.unit.images import icc
from tests.unit.images.pictures import Colour, difference, encode, middle, plain
from worker.images import decode

INKS = np.array([0.05, 0.85, 0.75, 0.1])
RED: Colour = tuple((icc.ink_colour(INKS) * 255).round().astype(int).tolist())


def _bytes(colour: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[int, ...]:
    return tuple((colour * 255).round().astype(int).tolist())


def _the_same_red() -> dict[str, bytes]:
    srgb = np.array(RED) / 255
    complement = tuple(255 - channel for channel in RED)
    half_clear = Image.new("RGBA", (64, 64), (0, 90, 200, 0))
    half_clear.paste((*RED, 255), (8, 8, 56, 56))
    return {
        "sRGB JPEG": encode(plain("RGB", RED), "JPEG"),
        "sRGB JPEG with its profile": encode(plain("RGB", RED), "JPEG", icc_profile=icc.srgb()),
        "Display P3 JPEG": encode(plain("RGB", _bytes(icc.to_p3(srgb))), "JPEG", icc_profile=icc.display_p3()),
        "Display P3 PNG": encode(plain("RGB", _bytes(icc.to_p3(srgb))), "PNG", icc_profile=icc.display_p3()),
        "Display P3 WebP": encode(
            plain("RGB", _bytes(icc.to_p3(srgb))), "WEBP", lossless=True, icc_profile=icc.display_p3()
        ),
        "Display P3 AVIF": encode(
            plain("RGB", _bytes(icc.to_p3(srgb))), "AVIF", quality=95, icc_profile=icc.display_p3()
        ),
        "Adobe RGB JPEG": encode(plain("RGB", _bytes(icc.to_adobe(srgb))), "JPEG", icc_profile=icc.adobe_rgb()),
        "Adobe RGB TIFF": encode(plain("RGB", _bytes(icc.to_adobe(srgb))), "TIFF", icc_profile=icc.adobe_rgb()),
        "CMYK JPEG": encode(plain("CMYK", (*complement, 0)), "JPEG"),
        "CMYK JPEG with a press profile": encode(plain("CMYK", _bytes(INKS)), "JPEG", icc_profile=icc.inks()),
        "CMYK TIFF with a press profile": encode(plain("CMYK", _bytes(INKS)), "TIFF", icc_profile=icc.inks()),
        "transparent PNG": encode(half_clear, "PNG"),
        "transparent WebP": encode(half_clear, "WEBP", lossless=True),
        "palette PNG": encode(plain("RGB", RED).convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        "GIF": encode(plain("RGB", RED).convert("P", palette=Image.Palette.ADAPTIVE), "GIF"),
        "BMP": encode(plain("RGB", RED), "BMP"),
        "16-bit PNG": _sixteen_bit_png(RED),
    }


def _sixteen_bit_png(colour: Colour) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" + struct.pack(">3H", *(channel * 257 for channel in colour)) * 16
    header = struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 16)) + chunk(b"IEND", b"")


def test_the_same_red_comes_out_of_every_kind_of_file() -> None:
    """Fewer than 3 ΔE2000 lie between any two of them."""
    seen = {name: middle(decode(data, 64)) for name, data in _the_same_red().items()}
    apart = {(one, other): difference(seen[one], seen[other]) for one, other in combinations(seen, 2)}
    assert {pair: distance for pair, distance in apart.items() if distance >= 3} == {}
    assert difference(seen["sRGB JPEG"], RED) < 1


@pytest.mark.parametrize("kind", ["Display P3", "Adobe RGB", "press"])
def test_the_profiles_matter(kind: str) -> None:
    """Without its profile each of those files shows another red, so the test above does test something."""
    srgb = np.array(RED) / 255
    data = {
        "Display P3": encode(plain("RGB", _bytes(icc.to_p3(srgb))), "PNG"),
        "Adobe RGB": encode(plain("RGB", _bytes(icc.to_adobe(srgb))), "PNG"),
        "press": encode(plain("CMYK", _bytes(INKS)), "JPEG"),
    }[kind]
    assert difference(middle(decode(data, 64)), RED) > 3


def test_a_grey_profile_is_applied() -> None:
    """Grey 128 at gamma 1.0 is far lighter than at sRGB's curve."""
    linear = encode(plain("L", 128), "PNG", icc_profile=icc.grey_gamma(1.0))
    assert middle(decode(linear, 32)) == pytest.approx((188, 188, 188), abs=1)


def test_an_rgb_profile_on_a_grey_photo_is_applied_to_its_grey() -> None:
    """Cameras write their RGB profile into black-and-white photos too."""
    data = encode(plain("L", 128), "JPEG", icc_profile=icc.display_p3())
    assert middle(decode(data, 32)) == pytest.approx((128, 128, 128), abs=1)


@pytest.mark.parametrize(
    "profile",
    [
        b"not a profile",
        icc.display_p3()[:200],
        icc.display_p3()[:300] + bytes(len(icc.display_p3()) - 300),
        icc.inks(),
        icc.grey_gamma(1.0),
        b"\0" * (5 << 20),
    ],
    ids=["garbage", "cut short", "zeroed", "for CMYK", "for grey", "5 MiB"],
)
def test_a_broken_or_unfitting_profile_is_ignored(profile: bytes) -> None:
    """The picture is taken to be sRGB."""
    data = encode(plain("RGB", RED), "TIFF", icc_profile=profile)
    assert difference(middle(decode(data, 32)), RED) < 1


def test_littlecms_own_srgb_profile_changes_nothing() -> None:
    """Most JPEGs carry sRGB; their pixels stay as they are."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    assert np.array_equal(decode(encode(image, "PNG", icc_profile=profile), 64), decode(encode(image, "PNG"), 64))


@pytest.mark.parametrize("value", [0, 1000, 20_000, 40_000, 65_535])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str, value: int) -> None:
    image = Image.fromarray(np.full((20, 20), value, np.uint16))
    assert middle(decode(encode(image, kind), 32)) == pytest.approx((value / 257,) * 3, abs=1)


def test_sixteen_bit_grey_with_a_transparent_value_is_put_on_white() -> None:
    data = encode(Image.fromarray(np.full((20, 20), 4660, np.uint16)), "PNG", transparency=4660)
    assert middle(decode(data, 32)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (plain("RGBA", (200, 0, 0, 0)), {}, (255, 255, 255)),
        (plain("RGBA", (200, 0, 0, 51)), {}, (244, 204, 204)),
        (plain("LA", (0, 128)), {}, (127, 127, 127)),
        (plain("RGB", (10, 20, 30)), {"transparency": (10, 20, 30)}, (255, 255, 255)),
        (plain("RGB", (10, 20, 30)), {"transparency": (10, 20, 31)}, (10, 20, 30)),
        (plain("L", 77), {"transparency": 77}, (255, 255, 255)),
        (plain("1", 0), {}, (0, 0, 0)),
        (plain("1", 1), {}, (255, 255, 255)),
        (plain("L", 90), {}, (90, 90, 90)),
    ],
    ids=["clear", "a fifth", "grey and alpha", "RGB key", "other key", "grey key", "bit 0", "bit 1", "grey"],
)
def test_transparency_is_put_on_white(image: Image.Image, options: dict[str, object], expected: Colour) -> None:
    assert middle(decode(encode(image, "PNG", **options), 32)) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_put_on_white(kind: str) -> None:
    image = Image.new("P", (40, 40), 1)
    image.putpalette([0, 200, 0, 200, 0, 0])
    image.paste(0, (10, 10, 30, 30))
    pixels = decode(encode(image, kind, transparency=0), 40)
    assert middle(pixels) == (255, 255, 255)
    assert tuple(pixels[3, 3]) == (200, 0, 0)


def test_palette_entries_may_be_half_transparent() -> None:
    image = Image.new("P", (40, 40), 1)
    image.putpalette([0, 0, 0, 0, 0, 200])
    assert middle(decode(encode(image, "PNG", transparency=bytes([255, 51])), 40)) == pytest.approx(
        (204, 204, 244), abs=1
    )


def test_what_is_clear_does_not_bleed_into_what_is_not() -> None:
    """Scaled down, the green that hides under full transparency must not tint the red beside it."""
    image = Image.new("RGBA", (400, 400), (0, 255, 0, 0))
    image.paste((200, 0, 0, 255), (0, 0, 401, 203))
    pixels = decode(encode(image, "PNG"), 50).astype(int)
    assert (pixels[..., 1] >= pixels[..., 2] - 1).all()
    assert (pixels[..., 1] <= pixels[..., 2] + 1).all()


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [plain("RGB", RED), plain("RGB", (0, 0, 255))]
    for kind in ("GIF", "PNG", "WEBP", "AVIF"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
        assert difference(middle(decode(data, 32)), RED) < 3, kind


def test_the_main_picture_of_a_two_picture_phone_file_is_taken() -> None:
    data = encode(plain("RGB", RED), "MPO", save_all=True, append_images=[plain("RGB", (0, 0, 255))], quality=95)
    assert difference(middle(decode(data, 32)), RED) < 2
