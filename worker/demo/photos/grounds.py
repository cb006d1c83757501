"""What things stand and lie on: seamless tiles of albedo, sampled at ground coordinates."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

from worker.demo.photos.noise import Array, colour, fractal, to_linear, vector

_TILE = 512


@dataclass(frozen=True, slots=True)
class Ground:
    """A surface.

    Parameters:
        tile: linear RGB, float32 [n, n, 3].
        scale: tiles per unit.
        gloss: how much of the light it mirrors, 0..1.
    """

    tile: Array
    scale: float
    gloss: float = 0.0

    def albedo(self, u: Array, v: Array) -> Array:
        """Linear RGB at these coordinates, interpolated; float32 [..., 3]."""
        side = len(self.tile)
        x, y = u * (self.scale * side), v * (self.scale * side)
        left, top = np.floor(x), np.floor(y)
        right_share, lower_share = (x - left)[..., None], (y - top)[..., None]
        i, j = top.astype(int) % side, left.astype(int) % side
        below, beside = (i + 1) % side, (j + 1) % side
        upper = self.tile[i, j] * (1 - right_share) + self.tile[i, beside] * right_share
        lower = self.tile[below, j] * (1 - right_share) + self.tile[below, beside] * right_share
        return vector(upper * (1 - lower_share) + lower * lower_share)


def _plain(code: str, *, rough: float = 0.006) -> Array:
    grain = fractal(np.random.default_rng(1), _TILE, slope=0.4)
    return vector(colour(code) * (1 + rough * grain)[..., None])


def _wood(light: str, dark: str, *, planks: int = 4) -> Array:
    rng = np.random.default_rng(len(light) + planks)
    wander = fractal(rng, _TILE, slope=1.6, stretch=(1, 7))
    grain = fractal(rng, _TILE, slope=0.7, stretch=(1, 26))
    rings = 0.5 + 0.5 * np.sin(wander * 5 + grain * 0.7)
    share = np.clip(0.30 + 0.32 * rings + 0.16 * grain, 0, 1)
    rows = np.arange(_TILE) * planks // _TILE
    share = np.clip(share + rng.uniform(-0.16, 0.16, planks)[rows][:, None], 0, 1)
    tile = colour(light) * (1 - share[..., None]) + colour(dark) * share[..., None]
    seam = np.arange(_TILE) * planks % _TILE < planks * 2
    tile[seam] *= 0.42
    for plank in range(planks):
        band = rows == plank
        start = int(rng.integers(_TILE))
        tile[band, start : start + 2] *= 0.42
    return vector(tile)


def _cloth(code: str, *, fold: float, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    folds = fractal(rng, _TILE, slope=1.9, stretch=(1.0, 2.2))
    creases = np.abs(fractal(rng, _TILE, slope=1.5))
    weave = fractal(rng, _TILE, slope=0.1)
    light = 1 + fold * folds * 0.5 - fold * np.exp(-creases * 7) * 0.55 + 0.02 * weave
    return vector(colour(code) * np.clip(light, 0.35, 1.3)[..., None])


def _carpet(code: str, other: str) -> Array:
    rng = np.random.default_rng(4)
    tufts = fractal(rng, _TILE, slope=0.35)
    patches = fractal(rng, _TILE, slope=1.4)
    share = np.clip(0.45 + 0.2 * tufts + 0.10 * patches, 0, 1)[..., None]
    return vector((colour(code) * (1 - share) + colour(other) * share) * (1 + 0.14 * tufts)[..., None].clip(0.4, 1.6))


def _tiles(code: str, grout: str) -> Array:
    tile = _plain(code, rough=0.012) * (1 + 0.03 * fractal(np.random.default_rng(5), _TILE, slope=1.5))[..., None]
    line = (np.arange(_TILE) % (_TILE // 2)) < 7
    tile[line] = colour(grout)
    tile[:, line] = colour(grout)
    return vector(tile)


def _concrete() -> Array:
    rng = np.random.default_rng(6)
    mottled = 1 + 0.10 * fractal(rng, _TILE, slope=1.2) + 0.05 * fractal(rng, _TILE, slope=0.3)
    return vector(colour("a09e99") * mottled[..., None].clip(0.5, 1.4))


def _photo(name: str, dark: str, light: str) -> Array:
    """A grey texture that comes with scikit-image, tinted; mirrored at its edges to be seamless."""
    path = Path(skimage.__file__).parent / "data" / name
    grey = to_linear(np.asarray(Image.open(path).convert("L").resize((_TILE // 2, _TILE // 2))) / 255)
    grey = (grey - grey.min()) / (np.percentile(grey, 99) - grey.min())
    whole = np.block([[grey, grey[:, ::-1]], [grey[::-1], grey[::-1, ::-1]]])[..., None]
    return vector(colour(dark) * (1 - whole) + colour(light) * whole)


_MAKERS: dict[str, Callable[[], Ground]] = {
    "white": lambda: Ground(_plain("f1f1f0"), 1.0),
    "grey": lambda: Ground(_plain("c9cbcd"), 1.0),
    "sand": lambda: Ground(_plain("e6ddd0"), 1.0),
    "sage": lambda: Ground(_plain("cdd6cb"), 1.0),
    "oak": lambda: Ground(_wood("c79b68", "8e5f34"), 0.55, 0.10),
    "walnut": lambda: Ground(_wood("7b5234", "3f2614", planks=5), 0.6, 0.14),
    "pine": lambda: Ground(_wood("dcbd92", "b48650", planks=3), 0.5, 0.05),
    "linen": lambda: Ground(_cloth("e8e6e1", fold=0.16, seed=2), 0.42),
    "blue sheet": lambda: Ground(_cloth("aebfd0", fold=0.20, seed=3), 0.42),
    "carpet": lambda: Ground(_carpet("8f8578", "c4bbac"), 0.9),
    "dark carpet": lambda: Ground(_carpet("46474c", "6f7076"), 0.9),
    "tiles": lambda: Ground(_tiles("d8d5cf", "a7a39c"), 0.7, 0.16),
    "concrete": lambda: Ground(_concrete(), 0.5, 0.02),
    "grass": lambda: Ground(_photo("grass.png", "1f3314", "93a857"), 0.8),
    "gravel": lambda: Ground(_photo("gravel.png", "3a3732", "b3aca0"), 0.8),
}


@functools.cache
def ground(name: str) -> Ground:
    """The surface of that name."""
    return _MAKERS[name]()
