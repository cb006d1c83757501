"""Light on buffers: a traced solid, painted, on a ground, becomes a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worker.demo.photos.grounds import Ground, ground
from worker.demo.photos.march import Buffers
from worker.demo.photos.noise import Array, colour, fractal, vector
from worker.demo.photos.paints import Paint
from worker.demo.photos.solids import Material

_ALBEDO = {
    Material.RUBBER: colour("1b1b1d"),
    Material.GLASS: colour("10161b"),
    Material.STEEL: colour("b9bcc0"),
    Material.WOOD: colour("b98a57"),
    Material.LAMP: colour("f5f1e2"),
    Material.BRASS: colour("cf9f45"),
}
_GLOSS = {
    Material.RUBBER: 0.15,
    Material.GLASS: 0.9,
    Material.STEEL: 1.0,
    Material.WOOD: 0.2,
    Material.LAMP: 0.5,
    Material.BRASS: 1.0,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a thing stands, and in what light.

    Parameters:
        floor, wall: names of grounds; no wall is the open air, with a sky.
        warmth: of the light, -1 (shade) to 1 (bulb).
        exposure: 1 is normal.
        gloss: of the main material, 0 (cloth) to 1 (enamel).
    """

    floor: str
    wall: str | None
    warmth: float
    exposure: float
    gloss: float


def photograph(buffers: Buffers, paint: Paint, setting: Setting) -> Array:
    """Shade a traced view; linear RGB, float32 [s, s, 3]."""
    floor = ground(setting.floor)
    material, normal, ray = buffers.material, buffers.normal, buffers.ray
    x, y, z = np.moveaxis(buffers.position, -1, 0)

    albedo = np.zeros((*material.shape, 3), np.float32)
    gloss = np.zeros(material.shape, np.float32)
    metal = np.zeros(material.shape, bool)
    for kind in Material:
        here = material == kind
        if not here.any():
            continue
        if kind is Material.GROUND:
            albedo[here], gloss[here] = floor.albedo(x[here], z[here]), floor.gloss
        elif kind is Material.MAIN:
            albedo[here] = paint.albedo(vector(x[here] + 0.35 * z[here]), vector(y[here] + 0.2 * z[here]))
            gloss[here], metal[here] = setting.gloss, paint.metal
        else:
            albedo[here], gloss[here], metal[here] = (
                _ALBEDO[kind],
                _GLOSS[kind],
                kind in {Material.STEEL, Material.BRASS},
            )

    sun = _tinted(1.0 + 0.10 * setting.warmth, 1.0 - 0.10 * setting.warmth)
    sky = _tinted(0.97, 1.04 if setting.wall is None else 1.0)
    facing = np.clip(np.einsum("hwc,c->hw", normal, buffers.light), 0, 1) * buffers.shadow
    above = 0.62 + 0.38 * normal[..., 1]
    bounce = 0.16 * np.clip(0.5 - 0.5 * normal[..., 1], 0, 1)[..., None] * floor.tile.mean(axis=(0, 1))
    ambient = buffers.occlusion[..., None] * (0.52 * above[..., None] * sky + bounce)
    diffuse = albedo * (ambient + 0.72 * facing[..., None] * sun)

    mirrored = ray - 2 * np.einsum("hwc,hwc->hw", ray, normal)[..., None] * normal
    fresnel = (0.04 + 0.96 * np.clip(1 + np.einsum("hwc,hwc->hw", ray, normal), 0, 1) ** 5) * gloss
    surroundings = _surroundings(vector(mirrored), floor) * buffers.occlusion[..., None]
    glint = np.clip(np.einsum("hwc,c->hw", mirrored, buffers.light), 0, 1) ** 60 * buffers.shadow * gloss * 0.9
    coated = diffuse * (1 - fresnel[..., None]) + surroundings * fresnel[..., None] + glint[..., None] * sun
    bare = albedo * (surroundings * 1.15 + 0.25 * facing[..., None]) + glint[..., None] * sun
    picture = np.where(metal[..., None], bare, coated)

    behind = material < 0
    picture[behind] = _backdrop(buffers, setting)[behind]
    return vector(picture * np.float32(setting.exposure))


def develop(picture: Array, rng: np.random.Generator) -> Array:
    """What a phone adds: vignette, a cast of white balance, noise. Linear RGB in and out."""
    height, width = picture.shape[:2]
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - rng.uniform(0.02, 0.12) * (down**2 + across**2)
    cast = _tinted(rng.uniform(0.97, 1.03), rng.uniform(0.97, 1.03))
    grain = rng.standard_normal(picture.shape[:2]) * rng.uniform(0.002, 0.006)
    return vector(
        picture * vignette[..., None] * cast + (grain * np.sqrt(picture.mean(axis=-1).clip(0)) * 2)[..., None]
    )


def _tinted(red: float, blue: float) -> Array:
    return vector((red, 1.0, blue))


def _surroundings(direction: Array, floor: Ground) -> Array:
    """What a mirror sees: a bright window, a softer one opposite, a light ceiling, the floor below."""
    up = direction[..., 1]
    around = np.arctan2(direction[..., 0], direction[..., 2])
    room = 0.30 + 0.35 * np.clip(up, 0, 1)
    window = 1.3 * _soft(np.abs(around + 0.8), 0.42, 0.1) * _soft(np.abs(up - 0.42), 0.32, 0.08)
    other = 0.55 * _soft(np.abs(around - 1.5), 0.30, 0.1) * _soft(np.abs(up - 0.3), 0.35, 0.1)
    below = floor.tile.mean(axis=(0, 1)) * 0.55
    share = np.clip(0.5 + up * 6, 0, 1)[..., None]
    return vector(below * (1 - share) + (room + window + other)[..., None] * share)


def _soft(value: Array, edge: float, width: float) -> Array:
    return vector(np.clip((edge - value) / width + 0.5, 0, 1))


def _backdrop(buffers: Buffers, setting: Setting) -> Array:
    if setting.wall is None:
        up = np.clip(buffers.ray[..., 1] + 0.02, 0, 0.5)[..., None] * 2
        haze = colour("dfe6ea") * (1 - up) + colour("8db4dc") * up
        clouds = fractal(np.random.default_rng(9), len(up), slope=1.7)[..., None]
        return vector(haze + 0.05 * clouds)
    plane = buffers.wall
    light = 0.80 + 0.10 * np.exp(-np.square(plane[..., 0] + 0.9)) - 0.16 * np.exp(-np.clip(plane[..., 1], 0, 9) * 5)
    return vector(ground(setting.wall).albedo(plane[..., 0], -plane[..., 1]) * light[..., None])
