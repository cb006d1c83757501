"""Give a cut-out another colour: the label follows the paint, so rare colours and unusual pairs get examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.data.cutouts import Pixels
from training.data.labels import INDEX, one_hot

Lab = tuple[float, float, float]

PAINTS: dict[str, tuple[Lab, ...]] = {
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

OUTER: dict[str, tuple[Lab, ...]] = {
    "beige": ((88, 2, 12), (82, 4, 10), (68, 7, 20)),
    "brown": ((24, 8, 6), (38, 8, 10), (46, 10, 30)),
    "yellow": ((66, 12, 58), (71, 9, 62), (61, 12, 50)),
    "red": ((47, 52, 22), (40, 50, 20)),
    "pink": ((50, 66, 8), (58, 58, 8)),
    "purple": ((42, 50, -26), (34, 42, -18)),
    "blue": ((53, 0, -28), (47, -3, -20)),
    "turquoise": ((68, -28, -20), (60, -20, -16)),
    "green": ((58, -30, 8), (66, -24, 6)),
}
"""Paints near a neighbour that people still call so: mustard, which is no gold, raspberry, magenta, mint. No test uses
them."""

_CHECKED = 0.3
"""Share of the patterns that are checks of cloth; a choice, not a measurement."""
_PLAIN, _SURE = 12.0, 0.95
"""Spread of a* and b* below which an item is of one colour, and the share of a label that counts as sure."""

METALS: dict[str, tuple[Lab, ...]] = {
    "gold": ((18, 6, 18), (42, 12, 40), (66, 8, 54), (82, 1, 44), (94, -2, 18)),
    "silver": ((20, 0, -2), (45, 0, -3), (66, 0, -2), (82, 0, -1), (97, 0, 0)),
}
"""CIELAB ramps of what a metal mirrors, from its darkest to its lightest."""


def paint(rgba: Pixels, lab: Lab, rng: Generator) -> Pixels:
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


_DRAWN = {name: len(paints) ** 0.5 for name, paints in PAINTS.items()}
_DRAWN |= {"white": 5**0.5} | dict.fromkeys(METALS, 1.5**0.5)
"""How often each paint and metal is drawn, by weight: grey, which has most shades and borders on most colours, the most
often; white, which light and shadow make anything, more often than its few shades would have it; metals, which painted
things with highlights are soon taken for, the least often. Choices, not measurements."""

Shades = Mapping[str, Sequence[Lab]]
"""CIELAB of real items by colour: duller than paints, and nearer to their neighbours."""


def shades(lab: NDArray[np.float32], targets: NDArray[np.float32]) -> Shades:
    """What plain items measure whose label is sure.

    Parameters:
        lab: ``cutouts.lab_statistics`` of the items, float32 [N, 6].
        targets: their label distributions, float32 [N, 18].
    """
    plain = (lab[:, 4:] < _PLAIN).all(1) & (targets.max(1) > _SURE)
    main = targets.argmax(1)
    found = {name: [tuple(row) for row in lab[plain & (main == INDEX[name]), :3].tolist()] for name in PAINTS}
    return {name: measured for name, measured in found.items() if measured}


def chosen(rgba: Pixels, name: str, rng: Generator, real: Shades | None = None) -> Pixels:
    """Paint in one of a colour's usual paints, of its outer ones, or of the shades that real items have."""
    choices: Sequence[Lab] = PAINTS[name]
    kind = rng.random()
    if kind < 0.2:
        choices = OUTER.get(name, choices)
    elif kind < 0.6 and real is not None:
        choices = real.get(name, choices)
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


def random_paint(rgba: Pixels, rng: Generator, real: Shades | None = None) -> tuple[Pixels, NDArray[np.float32]]:
    """Paint or plate in a random colour; returns the item and its one-hot target, float32 [18]."""
    weights = np.array([*_DRAWN.values()])
    name = str(rng.choice([*_DRAWN], p=weights / weights.sum()))
    return gilded(rgba, name, rng) if name in METALS else chosen(rgba, name, rng, real), one_hot(name)


def pattern(rgba: Pixels, rng: Generator) -> tuple[Pixels, NDArray[np.float32]]:
    """Cover the item with paints in checks of cloth, stripes, squares or blots: ``multicolour``."""
    side = rgba.shape[0]
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    rgb = _checks(rgba, xs, ys, rng) if rng.random() < _CHECKED else _fields(rgba, xs, ys, rng)
    return np.dstack([rgb, rgba[:, :, 3]]).astype(np.uint8), one_hot("multicolour")


def _checks(rgba: Pixels, xs: NDArray[np.float32], ys: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Gingham and tartan: stripes of one or two paints both ways over a ground, mixed where they cross; [S, S, 3]."""
    names = rng.permutation([name for name in PAINTS if name != "white"])
    ground = chosen(rgba, "white" if rng.random() < 0.6 else str(names[0]), rng)
    angle, period = rng.normal(0, 0.1) + (np.pi / 4 if rng.random() < 0.15 else 0), rng.uniform(5, 22)
    rgb = ground[:, :, :3].astype(np.float32)
    for name in names[1 : int(rng.integers(2, 4))]:
        line, width, start = chosen(rgba, str(name), rng)[:, :, :3], rng.uniform(0.2, 0.5), rng.random(2)
        along = (xs * np.cos(angle) + ys * np.sin(angle)) / period + start[0]
        across = (ys * np.cos(angle) - xs * np.sin(angle)) / period + start[1]
        weight = ((along % 1 < width).astype(np.float32) + (across % 1 < width)) / 2
        rgb += (line - rgb) * weight[:, :, None]
    return rgb


def _fields(rgba: Pixels, xs: NDArray[np.float32], ys: NDArray[np.float32], rng: Generator) -> Pixels:
    """Three to five paints in stripes, squares or blots: uint8 [S, S, 3]."""
    names = rng.permutation(list(PAINTS))[: int(rng.integers(3, 6))]
    painted = [chosen(rgba, str(name), rng) for name in names]
    kind, side = rng.random(), rgba.shape[0]
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
    return np.asarray(np.choose(index[:, :, None], [one[:, :, :3] for one in painted]), np.uint8)


def printed(rgba: Pixels, target: NDArray[np.float32], rng: Generator) -> tuple[Pixels, NDArray[np.float32]]:
    """Print blots, dots, or stripes of another paint on up to a third of the item; it keeps the name of its ground.

    Parameters:
        rgba: uint8 [S, S, 4].
        target: its label distribution, float32 [18].

    Returns:
        the item, and its distribution: as much of it as is covered goes to ``multicolour``.
    """
    side, cover = rgba.shape[0], float(rng.uniform(0.05, 0.35))
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    kind = rng.random()
    if kind < 0.4:
        grid = rng.random((int(rng.integers(6, 40)),) * 2).astype(np.float32)
        field = cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
    elif kind < 0.7:
        period = rng.uniform(5, 20)
        field = np.sin(xs / period * 2 * np.pi) + np.sin(ys / period * 2 * np.pi)
    else:
        angle, period = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.1), rng.uniform(4, 18)
        field = (xs * np.cos(angle) + ys * np.sin(angle)) / period % 1
    inside = rgba[:, :, 3] > 128
    if kind < 0.4 and rng.random() < 0.5:
        # One picture on the chest rather than all over.
        centre, reach = rng.normal(side / 2, side / 12, 2), rng.uniform(0.15, 0.3) * side
        field = np.where(np.hypot(xs - centre[0], ys - centre[1]) < reach, field + 2, field)
    if not inside.any():
        return rgba, target
    ink = field > np.quantile(field[inside], 1 - cover)
    rgb = np.where(ink[:, :, None], chosen(rgba, str(rng.choice(list(PAINTS))), rng)[:, :, :3], rgba[:, :, :3])
    return np.dstack([rgb, rgba[:, :, 3]]).astype(np.uint8), (1 - cover) * target + cover * one_hot("multicolour")
