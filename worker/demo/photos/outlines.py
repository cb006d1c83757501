"""Garments laid flat: outlines as curves through a few points.

Coordinates: x from the middle to the right, y down, both -1..1; only the right half is given, the left mirrors it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from worker.demo.photos.noise import Array, vector

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Garment:
    """A garment's form.

    Parameters:
        outline: from the middle of the neck or waist, around, to the middle of the hem. A point repeated is a corner.
        opening: the inside of the back that shows at the neck; outline in the same way.
        seams: lines along which the cloth is drawn in, both sides at once.
        bands: ribbed strips (collar, waist, cuffs) as closed polygons of the right half.
        buttons: y of buttons in the middle.
        pleats: 0 for cloth that lies loose, up to 1 for a pleated skirt.
    """

    outline: Points
    opening: Points = ()
    seams: tuple[Points, ...] = ()
    bands: tuple[Points, ...] = ()
    buttons: tuple[float, ...] = field(default=())
    pleats: float = 0.0


GARMENTS: dict[str, Garment] = {
    "t-shirt": Garment(
        outline=((0, -0.56), (0.10, -0.60), (0.19, -0.76), (0.19, -0.76), (0.52, -0.66), (0.66, -0.55), (0.92, -0.20),
                 (0.92, -0.20), (0.70, -0.03), (0.70, -0.03), (0.50, -0.25), (0.50, -0.25), (0.47, 0.2), (0.50, 0.82),
                 (0.50, 0.82), (0.25, 0.85), (0, 0.86)),
        opening=((0, -0.74), (0.19, -0.77), (0.12, -0.60), (0, -0.54)),
        seams=(((0.54, -0.65), (0.48, -0.45), (0.50, -0.25)), ((0.86, -0.25), (0.66, -0.07)),
               ((0.50, 0.77), (0.25, 0.80), (0, 0.81))),
        bands=(((0, -0.56), (0.10, -0.60), (0.18, -0.77), (0.23, -0.75), (0.15, -0.56), (0, -0.50)),),
    ),
    "sweater": Garment(
        outline=((0, -0.64), (0.12, -0.67), (0.19, -0.77), (0.19, -0.77), (0.48, -0.68), (0.64, -0.50), (0.78, 0.05),
                 (0.86, 0.62), (0.86, 0.62), (0.70, 0.66), (0.70, 0.66), (0.58, 0.15), (0.48, -0.22), (0.48, -0.22),
                 (0.48, 0.2), (0.47, 0.80), (0.47, 0.80), (0, 0.82)),
        opening=((0, -0.75), (0.19, -0.78), (0.13, -0.67), (0, -0.62)),
        seams=(((0.50, -0.67), (0.44, -0.45), (0.48, -0.22)),),
        bands=(((0, -0.64), (0.12, -0.67), (0.18, -0.78), (0.25, -0.76), (0.18, -0.61), (0, -0.55)),
               ((0.47, 0.69), (0.475, 0.80), (0, 0.82), (0, 0.71)),
               ((0.84, 0.51), (0.87, 0.63), (0.69, 0.67), (0.66, 0.55))),
    ),
    "dress": Garment(
        outline=((0, -0.62), (0.10, -0.70), (0.15, -0.90), (0.15, -0.90), (0.27, -0.88), (0.27, -0.88), (0.25, -0.66),
                 (0.34, -0.50), (0.34, -0.50), (0.27, -0.16), (0.27, -0.16), (0.44, 0.30), (0.66, 0.86), (0.66, 0.86),
                 (0.34, 0.94), (0, 0.96)),
        opening=((0, -0.78), (0.16, -0.90), (0.11, -0.70), (0, -0.60)),
        seams=(((0.27, -0.16), (0.14, -0.13), (0, -0.12)),),
        pleats=0.7,
    ),
    "trousers": Garment(
        outline=((0, -0.90), (0.34, -0.91), (0.34, -0.91), (0.42, -0.45), (0.43, 0.1), (0.42, 0.92), (0.42, 0.92),
                 (0.15, 0.93), (0.15, 0.93), (0.09, 0.1), (0.015, -0.26), (0.015, -0.26), (0, -0.27)),
        seams=(((0, -0.80), (0.005, -0.5), (0.01, -0.27)), ((0.37, -0.70), (0.28, -0.62), (0.22, -0.79)),
               ((0.25, -0.3), (0.28, 0.3), (0.29, 0.92))),
        bands=(((0, -0.90), (0.345, -0.915), (0.355, -0.80), (0, -0.79)),),
        buttons=(-0.845,),
    ),
    "skirt": Garment(
        outline=((0, -0.62), (0.30, -0.62), (0.30, -0.62), (0.34, -0.48), (0.55, 0.15), (0.76, 0.68), (0.76, 0.68),
                 (0.40, 0.77), (0, 0.79)),
        bands=(((0, -0.63), (0.305, -0.63), (0.33, -0.50), (0, -0.50)),),
        pleats=1.0,
    ),
    "coat": Garment(
        outline=((0, -0.50), (0.09, -0.62), (0.17, -0.84), (0.17, -0.84), (0.44, -0.74), (0.58, -0.58), (0.72, 0.0),
                 (0.80, 0.50), (0.80, 0.50), (0.64, 0.54), (0.64, 0.54), (0.55, 0.12), (0.45, -0.28), (0.45, -0.28),
                 (0.44, 0.2), (0.52, 0.93), (0.52, 0.93), (0, 0.95)),
        opening=((0, -0.80), (0.17, -0.86), (0.13, -0.72), (0, -0.40)),
        seams=(((0.46, -0.73), (0.40, -0.50), (0.45, -0.28)), ((0.03, -0.45), (0.03, 0.2), (0.03, 0.94)),
               ((0.20, 0.28), (0.30, 0.24), (0.40, 0.20)), ((0.28, -0.56), (0.22, -0.46), (0.28, -0.44)),
               ((0.79, 0.40), (0.62, 0.44))),
        bands=(((0, -0.44), (0.13, -0.72), (0.17, -0.87), (0.24, -0.83), (0.30, -0.62), (0.12, -0.38)),),
        buttons=(-0.22, 0.02, 0.26, 0.50),
    ),
    "beanie": Garment(
        outline=((0, -0.50), (0.22, -0.45), (0.44, -0.20), (0.50, 0.20), (0.52, 0.62), (0.52, 0.62), (0, 0.66)),
        bands=(((0.505, 0.26), (0.54, 0.64), (0, 0.68), (0, 0.30)),),
        pleats=0.35,
    ),
}  # fmt: skip


def curve(points: Points, *, steps: int = 12) -> Array:
    """A centripetal-like Catmull-Rom curve through the points; a repeated point stays sharp. float32 [n, 2]."""
    way = vector(points)
    drawn: list[Array] = []
    for place in range(len(way) - 1):
        start, end = way[place], way[place + 1]
        if np.array_equal(start, end):
            continue
        before = way[place - 1] if place else start
        after = way[place + 2] if place + 2 < len(way) else end
        t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
        drawn.append(
            vector(
                0.5
                * (
                    2 * start
                    + (end - before) * t
                    + (2 * before - 5 * start + 4 * end - after) * t**2
                    + (3 * start - before - 3 * end + after) * t**3
                )
            )
        )
    return np.concatenate([*drawn, way[-1:]])


def closed(points: Points) -> Array:
    """The whole outline: the right half, then the left one back. float32 [n, 2]."""
    right = curve(points)
    left = right[::-1] * vector((-1, 1))
    return np.concatenate([right, left])
