"""What the 18 colours look like on a thing: several shades each, metals as metals, patterns for multicolour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worker.colours import Colour
from worker.demo.photos.noise import Array, colour, vector

SHADES: dict[Colour, tuple[str, ...]] = {
    Colour.WHITE: ("f3f2ee", "f7f7f7", "efece6"),
    Colour.BLACK: ("17171a", "1d1b1c", "121315"),
    Colour.GREY: ("7f8285", "8f8d8a", "6c7075"),
    Colour.SILVER: ("cdd0d4", "c3c7cc"),
    Colour.BEIGE: ("d8c3a0", "cdb592", "e0cfb2"),
    Colour.BROWN: ("6d4227", "59351f", "7d5232"),
    Colour.GOLD: ("dba437", "cf9a35"),
    Colour.YELLOW: ("f4cc15", "f7d93c", "eec00e"),
    Colour.ORANGE: ("ee7319", "f2842b", "e56a10"),
    Colour.RED: ("c8141b", "d6242a", "b91218"),
    Colour.BURGUNDY: ("5f0f24", "701429", "52101c"),
    Colour.PINK: ("ef8fb3", "f4a9c4", "e5709e"),
    Colour.PURPLE: ("6c2e9b", "8148b0", "572380"),
    Colour.BLUE: ("1b43a6", "21359b", "1a3a86"),
    Colour.LIGHTBLUE: ("8dc6ec", "a3d0ee", "79b8e4"),
    Colour.TURQUOISE: ("1fb1a9", "34bdb6", "169c98"),
    Colour.GREEN: ("2b8038", "3d8f3a", "1f6a38"),
}
_PALETTES = (
    ("c8141b", "f4cc15", "2b8038", "1b43a6", "ee7319"),
    ("ef8fb3", "1fb1a9", "f7d93c", "6c2e9b", "f3f2ee"),
    ("1b43a6", "ee7319", "f3f2ee", "c8141b", "34bdb6"),
)
METALS = frozenset({Colour.SILVER, Colour.GOLD})


@dataclass(frozen=True, slots=True)
class Paint:
    """The albedo of the part that a listing is about.

    Parameters:
        shades: linear RGB, one for a plain colour, several for a pattern.
        metal: reflects its surroundings, tinted, instead of scattering.
        pattern: how several shades are laid out: 0 stripes, 1 patchwork, 2 dots.
    """

    shades: tuple[Array, ...]
    metal: bool
    pattern: int

    @classmethod
    def choose(cls, which: Colour, rng: np.random.Generator) -> Paint:
        """One of the looks of a colour."""
        if which is Colour.MULTICOLOUR:
            palette = _PALETTES[rng.integers(len(_PALETTES))]
            return cls(tuple(colour(code) for code in palette), metal=False, pattern=int(rng.integers(3)))
        shades = SHADES[which]
        base = colour(shades[rng.integers(len(shades))]) * np.float32(rng.uniform(0.93, 1.07))
        return cls((base,), metal=which in METALS, pattern=0)

    def albedo(self, u: Array, v: Array) -> Array:
        """Linear RGB at surface coordinates (about one unit across the item); float32 [..., 3]."""
        if len(self.shades) == 1:
            return np.broadcast_to(self.shades[0], (*u.shape, 3))
        shades = np.stack(self.shades)
        count = len(shades)
        if self.pattern == 0:
            index = np.floor(v * 9).astype(int)
        elif self.pattern == 1:
            index = np.floor(u * 5).astype(int) * 2 + np.floor(v * 5).astype(int) * 3
        else:
            cell_u, cell_v = np.floor(u * 6), np.floor(v * 6)
            inside = np.hypot(u * 6 - cell_u - 0.5, v * 6 - cell_v - 0.5) < 0.36
            index = np.where(inside, 1 + (cell_u * 2 + cell_v * 3).astype(int) % (count - 1), 0)
        return vector(shades[index % count])
