"""Photos that come inside scikit-image's wheel, as they are and with one thing in them given another colour.

Which pixels belong to the thing is decided by its own hue within an outline, so highlights and shadows stay its own:
the new colour takes over hue and depth, the photo keeps the light.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageDraw
from scipy import ndimage

from worker.demo.photos.noise import Array, to_linear, vector
from worker.demo.photos.paints import Paint

_DATA = Path(skimage.__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Thing:
    """Something in one of the photos that can be given another colour.

    Parameters:
        file: in scikit-image's data folder.
        outline: around the thing, in pixels (x, y).
        hole: within the outline, what is not of the thing.
        hue: of its own colour, as turns of the hue circle: the middle and the half width.
        saturation: the least that still belongs to it.
        crop: left, upper, right, lower.
    """

    file: str
    outline: tuple[tuple[float, float], ...]
    hole: tuple[tuple[float, float], ...]
    hue: tuple[float, float]
    saturation: float
    crop: tuple[int, int, int, int]


def _ellipse(left: float, upper: float, right: float, lower: float) -> tuple[tuple[float, float], ...]:
    turns = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    across = (left + right) / 2 + (right - left) / 2 * np.cos(turns)
    down = (upper + lower) / 2 + (lower - upper) / 2 * np.sin(turns)
    return tuple((float(x), float(y)) for x, y in zip(across, down, strict=True))


THINGS: dict[str, Thing] = {
    "cup": Thing(
        "coffee.png", _ellipse(79, 58, 478, 392), _ellipse(172, 14, 403, 212), (0.02, 0.05), 0.5, (50, 0, 510, 400)
    ),
    "suit": Thing(
        "astronaut.png",
        ((16, 512), (18, 380), (40, 268), (108, 205), (150, 270), (250, 296), (300, 262), (308, 232), (345, 252),
         (364, 345), (300, 420), (300, 512)),
        (), (0.035, 0.05), 0.40, (20, 0, 500, 512),
    ),
    "motorcycle": Thing(
        "motorcycle_left.png",
        ((80, 170), (330, 170), (480, 120), (640, 240), (690, 330), (560, 420), (400, 330), (110, 300)),
        (), (0.985, 0.035), 0.55, (60, 40, 720, 500),
    ),
}  # fmt: skip

ORIGINALS: dict[str, tuple[str, tuple[int, int, int, int]]] = {
    "astronaut": ("astronaut.png", (0, 0, 512, 512)),
    "cat": ("chelsea.png", (60, 0, 400, 300)),
    "coffee": ("coffee.png", (40, 0, 520, 400)),
    "rocket": ("rocket.jpg", (170, 0, 470, 427)),
    "motorcycle": ("motorcycle_left.png", (60, 40, 720, 500)),
    "coins": ("coins.png", (0, 0, 384, 303)),
    "helmet": ("astronaut.png", (280, 330, 512, 512)),
    "model rocket": ("astronaut.png", (350, 0, 512, 260)),
    "galaxies": ("hubble_deep_field.jpg", (200, 100, 700, 600)),
}


@functools.cache
def load(file: str) -> Image.Image:
    """One of scikit-image's photos, in RGB."""
    with Image.open(_DATA / file) as image:
        return image.convert("RGB")


def original(name: str) -> Image.Image:
    """A photo as it is, cropped to what the listing is about."""
    file, crop = ORIGINALS[name]
    return load(file).crop(crop)


def recoloured(name: str, paint: Paint) -> Array:
    """A photo whose thing has the paint's colour; linear RGB, float32 [h, w, 3]."""
    thing = THINGS[name]
    photo = to_linear(np.asarray(load(thing.file), np.float32) / 255)
    share = _belongs(name)[..., None]
    own = np.median(photo[share[..., 0] > 0.9], axis=0)
    light = photo @ vector((0.2126, 0.7152, 0.0722))
    typical = float(own @ vector((0.2126, 0.7152, 0.0722)))
    height, width = light.shape
    down, across = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    albedo = paint.albedo(vector(across * 2.2), vector(down * 2.2))
    # What is much lighter than the thing's own colour is a highlight: it mirrors the lamp and stays white.
    shading = np.clip(light / typical, 0, None)
    highlight = np.clip(shading - 2.2, 0, None) * typical
    body = albedo * np.minimum(shading, 2.2)[..., None] ** (0.75 if albedo.mean() > 0.3 else 1.0)
    painted = np.minimum(body, 1.1) + highlight[..., None]
    left, upper, right, lower = thing.crop
    return vector((photo * (1 - share) + painted * share)[upper:lower, left:right])


@functools.cache
def _belongs(name: str) -> Array:
    """How far each pixel belongs to the thing, 0..1; float32 [h, w]."""
    thing = THINGS[name]
    photo = load(thing.file)
    hue, saturation, value = np.moveaxis(np.asarray(photo.convert("HSV"), np.float32) / 255, -1, 0)
    middle, half = thing.hue
    away = np.abs((hue - middle + 0.5) % 1 - 0.5)
    alike = (away < half) & (saturation > thing.saturation) & (value > 0.12)
    outline = Image.new("L", photo.size)
    ImageDraw.Draw(outline).polygon(list(thing.outline), fill=255)
    if thing.hole:
        ImageDraw.Draw(outline).polygon(list(thing.hole), fill=0)
    inside = np.asarray(outline) > 0
    whole = ndimage.binary_closing(ndimage.binary_opening(alike & inside), iterations=3) & inside
    labels, count = ndimage.label(whole)
    sizes = ndimage.sum_labels(whole, labels, range(1, count + 1))
    large = np.isin(labels, 1 + np.flatnonzero(sizes > 120))
    return vector(ndimage.gaussian_filter(large.astype(np.float32), 0.9))
