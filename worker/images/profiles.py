"""Colour management: from the colours that a file means, by its ICC profile, to sRGB.

Phones write Display P3, cameras Adobe RGB, print shops CMYK. Read as if they were sRGB, their reds come out dull. The
transforms are made by LittleCMS through Pillow, and kept: making one costs milliseconds, using one a fraction of that.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from hashlib import blake2b

from PIL import Image, ImageCms

_SRGB = ImageCms.createProfile("sRGB")
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
# Press profiles are 0.5 to 3 MB; LittleCMS is not given more of a stranger's bytes to parse than such a one needs.
_MAX_PROFILE_BYTES = 4 << 20
_KEPT = 32


class _Transform:
    """A transform to sRGB for one profile, or none, where the profile is broken or is sRGB itself.

    Parameters:
        mode: Pillow's mode that goes in, ``"RGB"``, ``"L"`` or ``"CMYK"``.
        cms: the LittleCMS transform; it holds no state between calls, so threads share it.
    """

    def __init__(self, mode: str, cms: ImageCms.ImageCmsTransform | None) -> None:
        self.mode = mode
        self.cms = cms


_kept: OrderedDict[bytes, _Transform | None] = OrderedDict()
_lock = threading.Lock()


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert pixels to sRGB.

    Parameters:
        image: mode ``"RGB"``, ``"L"`` or ``"CMYK"``, 8 bits a channel.
        profile: the file's ICC profile. Without one, and with one that is broken or meant for another kind of pixels,
            RGB and grey are taken to be sRGB and CMYK to be plain complementary inks, as browsers do.

    Returns:
        An image of mode ``"RGB"``.
    """
    transform = _transform(profile) if profile else None
    if transform is not None:
        if transform.mode == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if transform.mode == image.mode and transform.cms is not None:
            return transform.cms.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _transform(profile: bytes) -> _Transform | None:
    key = blake2b(profile, digest_size=16).digest()
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    # Outside the lock: two threads may make the same one, which costs less than all of them waiting.
    made = _make(profile)
    with _lock:
        _kept[key] = made
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return made


def _make(profile: bytes) -> _Transform | None:
    if len(profile) > _MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODE_OF_SPACE.get(source.profile.xcolor_space.strip())
        if mode is None:
            return None
        cms = ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        # LittleCMS refuses the profile. Its picture is still a picture, and sRGB is the best guess.
        return None
    return _Transform(mode, None if mode == "RGB" and _changes_nothing(cms) else cms)


def _changes_nothing(cms: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform from RGB moves no channel by more than one step, on a grid of 17^3 colours."""
    steps = bytes(round(step * 255 / 16) for step in range(17))
    grid = bytes(value for red in steps for green in steps for blue in steps for value in (red, green, blue))
    before = Image.frombytes("RGB", (17 * 17, 17), grid)
    after = cms.apply(before)
    return all(abs(a - b) <= 1 for a, b in zip(grid, after.tobytes(), strict=True))
