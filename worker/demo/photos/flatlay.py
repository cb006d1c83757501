"""Garments photographed from above: outline, folds and weave make a height field, and light does the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from worker.demo.photos.grounds import ground
from worker.demo.photos.noise import Array, colour, fractal, vector
from worker.demo.photos.outlines import Garment, Points, closed, curve
from worker.demo.photos.paints import Paint

SIDE = 400
_LIGHT = vector((-0.48, -0.52, 0.71))
"""From the upper left; x right, y down, z towards the camera."""


@dataclass(frozen=True, slots=True)
class Cloth:
    """How a garment lies and what it is made of.

    Parameters:
        knit: the weave's depth: 0 is satin, 1 a thick knit.
        turn: degrees.
        size: of the garment against the picture, 1 fills it.
        folds: how much it is crumpled.
    """

    knit: float
    turn: float
    size: float
    folds: float


def photograph(garment: Garment, paint: Paint, cloth: Cloth, floor: str, rng: np.random.Generator) -> Array:
    """A picture of a garment on a surface; linear RGB, float32 [s, s, 3]."""
    drawing = _Drawing(cloth)
    body = drawing.fill(closed(garment.outline))
    back = drawing.fill(closed(garment.opening)) * (1 - body) if garment.opening else np.zeros_like(body)
    bands = np.zeros_like(body)
    for band in garment.bands:
        for side in (1, -1):
            bands = np.maximum(bands, drawing.fill(vector(band) * vector((side, 1))))
    seams = drawing.lines(garment.seams)
    u, v = drawing.coordinates()

    inside = ndimage.distance_transform_edt(body > 0.5).astype(np.float32)
    height = 9 * (1 - np.exp(-inside / 7))
    loose = fractal(rng, SIDE, slope=1.75, stretch=(0.75, 1.5)) + 0.6 * fractal(rng, SIDE, slope=1.6)
    creases = np.exp(-np.abs(fractal(rng, SIDE, slope=1.45, stretch=(0.7, 1.4))) * 6)
    height += cloth.folds * (3.4 * loose - 2.6 * ndimage.gaussian_filter(creases, 1.5)) * np.clip(inside / 14, 0, 1)
    if garment.pleats:
        fan = u / (0.55 + 0.45 * np.clip(v + 0.6, 0, 2))
        depth = garment.pleats * 5.5 * np.clip((v + 0.55) * 1.6, 0, 1)
        height += depth * np.sin(fan * 34 + 0.7 * loose)
    height -= 3.2 * ndimage.gaussian_filter(seams, 1.0)
    height += bands * (1.6 + 1.1 * cloth.knit * np.sin(u * 150))
    height += cloth.knit * 0.55 * (1 - bands) * np.sin(u * 190 + 1.5 * np.sin(v * 150)) * np.sin(v * 150)
    height += 0.10 * rng.standard_normal(height.shape)

    slope_down, slope_across = np.gradient(ndimage.gaussian_filter(height, 0.6))
    normal = np.stack([-slope_across, -slope_down, np.full_like(height, 1.9)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    facing = np.clip(np.einsum("hwc,c->hw", normal, _LIGHT), 0, 1) / _LIGHT[2]
    hollow = np.clip(1 + 0.045 * (height - ndimage.gaussian_filter(height, 9)), 0.55, 1.15)
    hollow *= 1 - 0.35 * ndimage.gaussian_filter(seams, 0.9).clip(0, 1)

    albedo = paint.albedo(vector((u + 1) * 0.8), vector((v + 1) * 0.8))
    light = (0.42 + 0.58 * facing) * hollow
    sheen = 0.05 * np.clip(1 - normal[..., 2], 0, 1)
    painted = albedo * light[..., None] + sheen[..., None]
    if paint.metal:
        glitter = np.clip(rng.standard_normal(height.shape) - 1.6, 0, 2)
        painted = albedo * (0.35 + 0.55 * light**3 + 1.3 * glitter * facing)[..., None] + 0.10 * facing[..., None] ** 6
    inner = albedo * 0.34 * (1 - 0.4 * np.clip((v + 0.8) * 3, 0, 1))[..., None]

    picture = _floor(floor, body + back, rng)
    picture = picture * (1 - back[..., None]) + inner * back[..., None]
    picture = picture * (1 - body[..., None]) + painted * body[..., None]
    return vector(drawing.buttons(picture, garment.buttons, dark=float(albedo.mean()) > 0.25))


def _floor(name: str, covered: Array, rng: np.random.Generator) -> Array:
    steps = np.linspace(0, 1.7, SIDE, dtype=np.float32)
    across, down = np.meshgrid(steps + rng.uniform(0, 5), steps + rng.uniform(0, 5))
    if rng.random() < 0.5:
        across, down = down, across
    contact = ndimage.gaussian_filter(covered, 5)
    cast = ndimage.gaussian_filter(np.roll(covered, (9, 8), (0, 1)), 7)
    light = 0.98 - 0.34 * contact - 0.38 * cast
    return vector(ground(name).albedo(vector(across), vector(down)) * np.clip(light, 0.2, 1)[..., None])


class _Drawing:
    """From a garment's coordinates to pixels, turned and scaled."""

    def __init__(self, cloth: Cloth) -> None:
        angle = np.radians(cloth.turn)
        self._turn = vector([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self._scale = cloth.size * SIDE / 2

    def fill(self, outline: Array) -> Array:
        """Coverage of a polygon, 0..1, with smooth edges."""
        image = Image.new("L", (SIDE * 2, SIDE * 2))
        ImageDraw.Draw(image).polygon([tuple(point) for point in self._pixels(outline) * 2], fill=255)
        return vector(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)) / 255)

    def lines(self, seams: tuple[Points, ...]) -> Array:
        """Coverage of seams, on both sides of the garment."""
        image = Image.new("L", (SIDE * 2, SIDE * 2))
        draw = ImageDraw.Draw(image)
        for seam in seams:
            for side in (1, -1):
                way = self._pixels(curve(seam) * vector((side, 1))) * 2
                draw.line([tuple(point) for point in way], fill=255, width=4, joint="curve")
        return vector(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)) / 255)

    def coordinates(self) -> tuple[Array, Array]:
        """The garment's own coordinates of every pixel."""
        steps = (np.arange(SIDE, dtype=np.float32) + 0.5 - SIDE / 2) / self._scale
        across, down = np.meshgrid(steps, steps)
        return (
            vector(self._turn[0, 0] * across + self._turn[1, 0] * down),
            vector(self._turn[0, 1] * across + self._turn[1, 1] * down),
        )

    def buttons(self, picture: Array, places: tuple[float, ...], *, dark: bool) -> Array:
        """Small round buttons in the middle."""
        if not places:
            return picture
        down, across = np.mgrid[:SIDE, :SIDE].astype(np.float32)
        for y in places:
            x, y_pixel = self._pixels(vector([[0.0, y]]))[0]
            radius = 0.026 * self._scale
            away = np.hypot(across - x, down - y_pixel)
            inside = np.clip(radius - away + 0.5, 0, 1)[..., None]
            shaded = np.clip(1 - 0.5 * ((across - x) + (down - y_pixel)) / radius / 2, 0.4, 1.5)[..., None]
            picture = (
                picture * (1 - 0.5 * np.clip(radius + 2 - away, 0, 1))[..., None] * (1 - inside)
                + (colour("3a3028" if dark else "c9c2b4") * shaded) * inside
            )
        return picture

    def _pixels(self, points: Array) -> Array:
        return vector(points @ self._turn.T * self._scale + SIDE / 2)
