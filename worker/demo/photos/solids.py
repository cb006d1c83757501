"""Things with a body, built of signed distance functions; one function a thing.

Each stands on y = 0, is about one unit high or wide, and gives its parts as (material, distances).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np

from worker.demo.photos import fields as f
from worker.demo.photos.noise import Array, vector


class Material(IntEnum):
    """What a part is made of. MAIN carries the listing's colour."""

    GROUND = 0
    MAIN = 1
    RUBBER = 2
    GLASS = 3
    STEEL = 4
    WOOD = 5
    LAMP = 6
    BRASS = 7


Parts = list[tuple[Material, Array]]
Solid = Callable[[Array], Parts]


def mug(p: Array) -> Parts:
    """A mug with its handle to the right."""
    wall = f.cylinder(p, (0, 0.45, 0), 0.36, 0.45, 0.05)
    handle = f.carve(f.torus(p, (0.40, 0.46, 0), 0.22, 0.055), f.cylinder(p, (0, 0.45, 0), 0.33, 0.6))
    body = f.carve(f.blend(wall, handle, 0.04), f.cylinder(p, (0, 0.56, 0), 0.315, 0.46, 0.04))
    return [(Material.MAIN, body)]


def teapot(p: Array) -> Parts:
    """A round teapot with a knob on its lid."""
    body = f.ellipsoid(p, (0, 0.38, 0), (0.46, 0.38, 0.46))
    spout = f.capsule(p, (0.36, 0.32, 0), (0.72, 0.66, 0), 0.10, 0.05)
    handle = f.torus(p, (-0.47, 0.42, 0), 0.22, 0.045)
    lid = f.blend(
        f.ellipsoid(p, (0, 0.74, 0), (0.22, 0.06, 0.22)), f.ellipsoid(p, (0, 0.83, 0), (0.06, 0.06, 0.06)), 0.04
    )
    return [(Material.MAIN, f.union(f.blend(f.blend(body, spout, 0.08), handle, 0.04), lid))]


def vase(p: Array) -> Parts:
    """A bellied vase with a narrow neck."""
    belly = f.ellipsoid(p, (0, 0.36, 0), (0.34, 0.37, 0.34))
    neck = f.cone(p, (0, 0.80, 0), 0.13, 0.19, 0.20)
    foot = f.cylinder(p, (0, 0.03, 0), 0.20, 0.03)
    return [
        (
            Material.MAIN,
            f.carve(f.blend(f.blend(belly, neck, 0.16), foot, 0.05), f.cone(p, (0, 0.86, 0), 0.08, 0.165, 0.16)),
        )
    ]


def chair(p: Array) -> Parts:
    """A shell chair on splayed wooden legs."""
    seat = f.box(p, (0, 0.50, 0.02), (0.30, 0.035, 0.28), 0.03)
    bent = p.copy()
    bent[2] += 0.30 * np.square(p[0]) * -1 + 0.14 * (p[1] - 0.5)
    back = f.box(bent, (0, 0.80, -0.27), (0.29, 0.26, 0.03), 0.03)
    m = f.mirrored(f.mirrored(p, 0), 2)
    legs = f.capsule(m, (0.20, 0.48, 0.18), (0.30, 0.02, 0.28), 0.032, 0.02)
    return [(Material.MAIN, f.blend(seat, back * 0.85, 0.10)), (Material.WOOD, legs)]


def armchair(p: Array) -> Parts:
    """An upholstered armchair."""
    m = f.mirrored(p)
    base = f.box(p, (0, 0.24, 0), (0.44, 0.14, 0.38), 0.05)
    cushion = f.box(p, (0, 0.42, 0.04), (0.33, 0.09, 0.36), 0.08)
    back = f.box(p, (0, 0.60, -0.32), (0.42, 0.34, 0.11), 0.09)
    arms = f.box(m, (0.44, 0.36, 0.02), (0.10, 0.25, 0.38), 0.09)
    legs = f.capsule(f.mirrored(m, 2), (0.36, 0.12, 0.28), (0.38, 0.02, 0.30), 0.03, 0.02)
    return [(Material.MAIN, f.union(f.blend(f.union(base, back), arms, 0.03), cushion)), (Material.WOOD, legs)]


def table(p: Array) -> Parts:
    """A round table on four legs, all of one colour."""
    top = f.cylinder(p, (0, 0.62, 0), 0.56, 0.03, 0.02)
    rim = f.cylinder(p, (0, 0.57, 0), 0.42, 0.04)
    legs = f.capsule(f.mirrored(f.mirrored(p, 0), 2), (0.27, 0.58, 0.27), (0.36, 0.02, 0.36), 0.035, 0.022)
    return [(Material.MAIN, f.union(top, rim, legs))]


def car(p: Array) -> Parts:
    """A small car seen from its side; windows are cut into the cabin's skin."""
    lower = f.box(p, (0, 0.25, 0), (0.72, 0.13, 0.30), 0.10)
    bonnet = f.box(p, (-0.52, 0.31, 0), (0.24, 0.08, 0.28), 0.08)
    slanted = p.copy()
    slanted[0] = (p[0] - 0.08) / (1.0 - 0.55 * np.clip(p[1] - 0.32, 0, 0.4))
    cabin = f.box(slanted, (0, 0.42, 0), (0.44, 0.17, 0.265), 0.08) * 0.8
    wheels = f.mirrored(p, 2)
    arches = f.union(*(f.cylinder(wheels, (x, 0.15, 0.30), 0.175, 0.12, axis=2) for x in (-0.44, 0.46)))
    body = f.carve(f.blend(f.blend(lower, bonnet, 0.05), cabin, 0.04), arches)
    tyres = f.union(*(f.cylinder(wheels, (x, 0.15, 0.24), 0.145, 0.06, 0.03, axis=2) for x in (-0.44, 0.46)))
    hubs = f.union(*(f.cylinder(wheels, (x, 0.15, 0.285), 0.085, 0.025, 0.015, axis=2) for x in (-0.44, 0.46)))
    side = f.box(slanted, (0.01, 0.455, 0), (0.36, 0.075, 0.40), 0.04)
    pillar = f.box(p, (0.09, 0.46, 0), (0.022, 0.2, 0.5), 0.0)
    front = f.box(slanted, (-0.2, 0.485, 0), (0.6, 0.05, 0.20), 0.03)
    windows = f.union(f.carve(side, pillar), front)
    lamps = f.ellipsoid(wheels, (-0.71, 0.30, 0.20), (0.05, 0.045, 0.07))
    skin = np.maximum(body - np.float32(0.004), windows)
    return [
        (Material.MAIN, body), (Material.GLASS, skin), (Material.RUBBER, tyres), (Material.STEEL, hubs),
        (Material.LAMP, lamps),
    ]  # fmt: skip


def handbag(p: Array) -> Parts:
    """A handbag with two round handles and a brass clasp."""
    tapered = p.copy()
    share = np.clip(p[1] / 0.6, 0, 1)
    tapered[0] /= 1.0 - 0.16 * share
    tapered[2] /= 1.0 - 0.55 * share
    body = f.box(tapered, (0, 0.30, 0), (0.50, 0.30, 0.22), 0.06) * 0.7
    handles = f.torus(f.mirrored(p, 2), (0, 0.55, 0.07), 0.25, 0.024)
    clasp = f.cylinder(p, (0, 0.50, 0.125), 0.045, 0.03, axis=2)
    flap = f.box(tapered, (0, 0.50, 0.06), (0.36, 0.10, 0.18), 0.05) * 0.7
    return [(Material.MAIN, f.union(body, handles, flap)), (Material.BRASS, clasp)]


def suitcase(p: Array) -> Parts:
    """A ribbed suitcase on wheels with its handle drawn out."""
    ribs = np.float32(0.010) * np.cos(p[0] * np.float32(2 * np.pi / 0.11))
    shell = (f.box(p, (0, 0.52, 0), (0.34, 0.45, 0.16), 0.09) + ribs) * 0.85
    wheels = f.cylinder(f.mirrored(f.mirrored(p), 2), (0.25, 0.045, 0.10), 0.045, 0.02, axis=2)
    rods = f.capsule(f.mirrored(p), (0.14, 0.9, -0.10), (0.14, 1.22, -0.10), 0.013)
    grip = f.capsule(p, (-0.15, 1.23, -0.10), (0.15, 1.23, -0.10), 0.026)
    return [(Material.MAIN, shell), (Material.RUBBER, f.union(wheels, grip)), (Material.STEEL, rods)]


def lamp(p: Array) -> Parts:
    """A table lamp; its shade and foot share a colour."""
    shade = f.cone(p, (0, 0.86, 0), 0.36, 0.20, 0.20)
    hollow = f.cone(p, (0, 0.855, 0), 0.345, 0.185, 0.21)
    foot = f.blend(f.cylinder(p, (0, 0.03, 0), 0.22, 0.03, 0.02), f.ellipsoid(p, (0, 0.22, 0), (0.15, 0.20, 0.15)), 0.1)
    rod = f.capsule(p, (0, 0.3, 0), (0, 0.75, 0), 0.025)
    return [(Material.MAIN, f.union(f.carve(shade, hollow), foot)), (Material.STEEL, rod)]


def plush_cat(p: Array) -> Parts:
    """A sitting plush cat with button eyes."""
    m = f.mirrored(p)
    body = f.ellipsoid(p, (0, 0.30, 0), (0.27, 0.32, 0.24))
    head = f.ellipsoid(p, (0, 0.72, 0.04), (0.25, 0.21, 0.21))
    ears = f.capsule(m, (0.14, 0.86, 0.03), (0.19, 0.99, 0.03), 0.085, 0.025)
    paws = f.ellipsoid(m, (0.13, 0.07, 0.20), (0.085, 0.07, 0.13))
    arms = f.capsule(m, (0.16, 0.42, 0.12), (0.12, 0.16, 0.24), 0.075, 0.065)
    tail = f.capsule(p, (0.2, 0.1, -0.12), (0.48, 0.30, -0.05), 0.065, 0.05)
    muzzle = f.ellipsoid(m, (0.055, 0.665, 0.22), (0.075, 0.06, 0.06))
    fur = f.blend(f.blend(f.blend(f.blend(body, head, 0.07), ears, 0.05), f.union(paws, arms), 0.05), tail, 0.06)
    eyes = f.ellipsoid(m, (0.095, 0.76, 0.225), (0.034, 0.04, 0.025))
    nose = f.ellipsoid(p, (0, 0.70, 0.272), (0.028, 0.02, 0.02))
    return [(Material.MAIN, f.blend(fur, muzzle, 0.03)), (Material.RUBBER, f.union(eyes, nose))]


def boots(p: Array) -> Parts:
    """A pair of rubber boots."""
    m = f.mirrored(p)
    m = m - vector((0.20, 0, 0))[:, None]
    turned = m.copy()
    turned[0] = m[0] * 0.94 - m[2] * 0.34
    turned[2] = m[0] * 0.34 + m[2] * 0.94
    shaft = f.cone(turned, (0, 0.46, -0.08), 0.115, 0.15, 0.32)
    foot = f.ellipsoid(turned, (0, 0.13, 0.08), (0.125, 0.12, 0.26))
    upper = f.carve(f.blend(shaft, foot, 0.12), f.cone(turned, (0, 0.62, -0.08), 0.10, 0.135, 0.3))
    upper = np.maximum(upper, np.float32(0.03) - p[1])
    sole = np.maximum(f.ellipsoid(turned, (0, 0.10, 0.06), (0.14, 0.16, 0.29)), p[1] - np.float32(0.045))
    return [(Material.MAIN, upper * 0.9), (Material.RUBBER, sole)]


def cushion(p: Array) -> Parts:
    """A scatter cushion, leaning back."""
    angle = np.float32(0.5)
    q = p - vector((0, 0.42, 0))[:, None]
    y, z = q[1] * np.cos(angle) - q[2] * np.sin(angle), q[1] * np.sin(angle) + q[2] * np.cos(angle)
    x = q[0]
    # Full in the middle, thin at the seam, its sides drawn in between the corners.
    side = np.float32(0.44) - np.float32(0.03) * np.cos(
        np.clip(np.minimum(np.abs(x), np.abs(y)) / 0.44, 0, 1) * np.pi / 2
    )
    u, v = np.clip(x / side, -1, 1), np.clip(y / side, -1, 1)
    thick = np.float32(0.17) * ((1 - u**2) * (1 - v**2)) ** np.float32(0.42) + np.float32(0.012)
    outside = np.maximum(np.maximum(np.abs(x), np.abs(y)) - side, (np.abs(z) - thick) * np.float32(0.55))
    return [(Material.MAIN, vector(outside * np.float32(0.6)))]


SOLIDS: dict[str, Solid] = {
    solid.__name__: solid
    for solid in (
        mug, teapot, vase, chair, armchair, table, car, handbag, suitcase, lamp, plush_cat, boots, cushion,
    )
}  # fmt: skip
