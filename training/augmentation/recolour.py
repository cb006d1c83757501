"""Give a cut-out another colour: the label follows the paint, so rare colours and unusual pairs get examples."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.data.cutouts import Pixels
from training.data.labels import LABELS

PAINTS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "white": ((93, 0, 0), (90, 0, 2), (88, 0, -2)),
    "black": ((15, 0, 0), (20, 0, -2), (11, 0, 0), (18, 1, -5), (19, 2, 3)),
    "grey": (
        (55, 0, 0),
        (42, 0, -2),
        (66, 0, -1),
        (58, 1, -6),
        (50, 1, 4),
        (70, 1, -3),
        (33, 0, -1),
        (36, 2, 3),
        (76, 0, -1),
        (52, -2, -9),
        (57, 4, 7),
    ),
    "beige": ((78, 4, 17), (83, 3, 13), (72, 6, 18)),
    "brown": ((35, 14, 20), (27, 11, 13), (44, 17, 27)),
    "yellow": ((82, 2, 70), (86, -6, 60), (74, 8, 62), (88, -5, 40)),
    "orange": ((64, 42, 58), (60, 48, 55), (68, 34, 62)),
    "red": ((46, 62, 42), (42, 58, 36), (50, 66, 46)),
    "burgundy": ((25, 32, 10), (29, 38, 13), (21, 26, 7), (32, 40, 16)),
    "pink": ((72, 32, 0), (62, 52, -6), (80, 20, 4), (55, 64, -8), (68, 36, 10)),
    "purple": ((38, 38, -42), (52, 28, -30), (30, 30, -28), (66, 20, -22)),
    "blue": ((32, 14, -46), (22, 6, -26), (42, 8, -50), (18, 3, -16), (48, -2, -38)),
    "lightblue": ((72, -8, -24), (66, -6, -30), (78, -8, -16)),
    "turquoise": ((62, -34, -8), (54, -30, -12), (72, -32, -4), (45, -26, -10), (66, -38, 2)),
    "green": ((46, -42, 34), (34, -22, 22), (60, -44, 48), (40, -10, 26), (30, -24, 10)),
}
"""CIELAB centres of each colour's usual paints (L*, a*, b*); a paint alone makes no metal and no pattern."""

METALS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "gold": ((18, 6, 18), (42, 12, 40), (66, 8, 54), (82, 1, 44), (94, -2, 18)),
    "silver": ((20, 0, -2), (45, 0, -3), (66, 0, -2), (82, 0, -1), (97, 0, 0)),
}
"""CIELAB ramps of what a metal mirrors, from its darkest to its lightest."""


def paint(rgba: Pixels, lab: tuple[float, float, float], rng: Generator) -> Pixels:
    """Move the item's colour to ``lab``, keeping its shading and a fraction of its own variation.

    Parameters:
        rgba: uint8 [S, S, 4].
        lab: the target's L*, a*, b*.
    """
    source = cv2.cvtColor(rgba[:, :, :3].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    inside = rgba[:, :, 3] > 128
    if not inside.any():
        return rgba
    median = np.median(source[inside], axis=0)
    centre = np.array(lab) + rng.normal(0, (3.5, 3.5, 3.5))
    contrast = 0.8 if 20 < median[0] < 85 else 1.3
    shading = (source[:, :, 0] - median[0]) * contrast * min(1.0, centre[0] / max(median[0], 30) + 0.2)
    out = np.empty_like(source)
    out[:, :, 0] = centre[0] + np.clip(shading, -40, 25)
    relative = np.clip(out[:, :, 0] / max(centre[0], 1), 0.3, 1.15)
    for channel in (1, 2):
        out[:, :, channel] = centre[channel] * relative + 0.15 * (source[:, :, channel] - median[channel])
    rgb = np.clip(cv2.cvtColor(out.astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1)
    return np.dstack([(rgb * 255).astype(np.uint8), rgba[:, :, 3]])


def chosen(rgba: Pixels, name: str, rng: Generator) -> Pixels:
    """Paint in one of the usual paints of a colour of ``PAINTS``."""
    choices = PAINTS[name]
    return paint(rgba, choices[int(rng.integers(len(choices)))], rng)


def gilded(rgba: Pixels, metal: str, rng: Generator) -> Pixels:
    """Plate the item with one of ``METALS``: its own light and dark become mirrored ones, stronger and in bands.

    Parameters:
        rgba: uint8 [S, S, 4].
        metal: a key of ``METALS``.
    """
    inside = rgba[:, :, 3] > 128
    if not inside.any():
        return rgba
    grey = cv2.cvtColor(np.ascontiguousarray(rgba[:, :, :3]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    low, high = np.percentile(grey[inside], (3, 97))
    level = np.clip((grey - low) / max(high - low, 12.0), 0, 1)
    side = rgba.shape[0]
    grid = rng.standard_normal((int(rng.integers(3, 9)),) * 2).astype(np.float32)
    bands = np.sin(cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC) * rng.uniform(1, 4) + 3 * level)
    level = np.clip(0.5 + rng.uniform(0.5, 0.9) * (level - 0.5) + rng.uniform(0.05, 0.25) * bands, 0, 1)
    ramp = np.array(METALS[metal], np.float32) + rng.normal(0, 2.5, 3).astype(np.float32)
    steps = np.linspace(0, 1, len(ramp))
    lab = np.dstack([np.interp(level, steps, ramp[:, channel]) for channel in range(3)]).astype(np.float32)
    rgb = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    return np.dstack([(rgb * 255).astype(np.uint8), rgba[:, :, 3]])


def random_paint(rgba: Pixels, rng: Generator) -> tuple[Pixels, NDArray[np.float32]]:
    """Paint or plate in a random colour; returns the item and its one-hot target, float32 [18]."""
    name = str(rng.choice([*PAINTS, *METALS]))
    target = np.zeros(len(LABELS), np.float32)
    target[LABELS.index(name)] = 1
    return gilded(rgba, name, rng) if name in METALS else chosen(rgba, name, rng), target


def pattern(rgba: Pixels, rng: Generator) -> tuple[Pixels, NDArray[np.float32]]:
    """Cover the item with three to five paints in stripes, checks or blots: ``multicolour``."""
    side = rgba.shape[0]
    names = rng.permutation(list(PAINTS))[: int(rng.integers(3, 6))]
    painted = [paint(rgba, PAINTS[str(n)][int(rng.integers(len(PAINTS[str(n)])))], rng) for n in names]
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    kind = rng.random()
    if kind < 0.35:
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 26)
        field = (xs * np.cos(angle) + ys * np.sin(angle)) / period
    elif kind < 0.55:
        period = rng.uniform(8, 28)
        field = np.floor(xs / period) + 2 * np.floor(ys / period)
    else:
        grid = rng.random((int(rng.integers(5, 14)),) * 2).astype(np.float32)
        field = cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC) * len(names) * 1.6
    index = np.floor(field).astype(int) % len(names)
    rgb = np.choose(index[:, :, None], [p[:, :, :3] for p in painted])
    target = np.zeros(len(LABELS), np.float32)
    target[LABELS.index("multicolour")] = 1
    return np.dstack([rgb, rgba[:, :, 3]]).astype(np.uint8), target
