"""Sphere tracing: what each pixel of a picture of a solid sees, once for all its colours.

The result is a set of buffers (deferred shading): position, normal, material, occlusion and shadow. Painting the same
view in another colour, on another ground, then costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.demo.photos.fields import length
from worker.demo.photos.noise import Array, vector
from worker.demo.photos.solids import Material, Solid

Distance = Callable[[Array], Array]

SIDE = 400
"""Pixels; pictures are reduced afterwards, which smooths the edges."""
_STEPS = 48
_SHADOW_STEPS = 16
_FAR = 9.0
_REACH = 1.7
"""How far from the thing the ground can be in its shadow."""
_WALL = -1.9
"""z of the wall behind, for rooms."""


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera and the light stand, in degrees and units."""

    azimuth: float
    height: float
    distance: float
    light_azimuth: float
    light_height: float = 52.0


@dataclass(frozen=True, slots=True)
class Buffers:
    """What each of ``SIDE`` x ``SIDE`` pixels sees.

    Parameters:
        material: int [s, s]; -1 is the sky or the wall behind.
        position, normal, ray: float32 [s, s, 3]; ``ray`` points away from the camera.
        occlusion: float32 [s, s], 1 in the open.
        shadow: float32 [s, s], 1 in the light.
        light: float32 [3], towards the light.
        wall: float32 [s, s, 2], coordinates on the wall behind (x, y), for material -1.
    """

    material: npt.NDArray[np.int8]
    position: Array
    normal: Array
    ray: Array
    occlusion: Array
    shadow: Array
    light: Array
    wall: Array


def trace(solid: Solid, view: View, *, wall: bool) -> Buffers:
    """Look at a solid on the ground y = 0.

    Parameters:
        wall: a room's wall stands behind; otherwise the ground goes on to the horizon.
    """
    origin, rays = _camera(view)
    light = _direction(view.light_azimuth, view.light_height)

    def distance(points: Array) -> Array:
        return vector(np.minimum.reduce([part for _, part in solid(points)]))

    count = rays.shape[1]
    with np.errstate(divide="ignore"):
        ground = np.where(rays[1] < -1e-4, -origin[1] / rays[1], np.float32(np.inf))
        behind = np.where(rays[2] < -1e-4, (np.float32(_WALL) - origin[2]) / rays[2], np.float32(np.inf))
    far = np.minimum(ground, behind) if wall else ground
    travelled, hit = _march(distance, origin, rays, np.minimum(far, _FAR).astype(np.float32))

    material = np.full(count, -1, np.int8)
    on_ground = ~hit & np.isfinite(ground) & (ground <= (behind if wall else np.inf))
    material[on_ground] = Material.GROUND
    travelled = np.where(hit, travelled, np.where(on_ground, ground, 0)).astype(np.float32)
    position = origin[:, None] + rays * travelled
    parts = solid(position[:, hit])
    which = np.argmin(np.stack([part for _, part in parts]), axis=0)
    material[hit] = np.array([kind for kind, _ in parts], np.int8)[which]

    normal = np.zeros((3, count), np.float32)
    normal[1, on_ground] = 1
    normal[:, hit] = _normals(distance, position[:, hit])
    seen = hit | (on_ground & (np.hypot(position[0], position[2]) < _REACH))
    occlusion = np.ones(count, np.float32)
    shadow = np.ones(count, np.float32)
    occlusion[seen] = _occlusion(distance, position[:, seen], normal[:, seen])
    shadow[seen] = _shadow(distance, position[:, seen] + normal[:, seen] * np.float32(0.012), light)

    plane = origin[:, None] + rays * np.where(np.isfinite(behind), behind, 0).astype(np.float32)

    def square(values: Array) -> Array:
        return values.T.reshape(SIDE, SIDE, *values.shape[:-1])

    return Buffers(
        material.reshape(SIDE, SIDE), square(position), square(normal), square(rays),
        square(occlusion), square(shadow), light, square(plane[:2]),
    )  # fmt: skip


def _camera(view: View) -> tuple[Array, Array]:
    target = vector((0, 0.46, 0))
    origin = target + _direction(view.azimuth, view.height) * np.float32(view.distance)
    forward = (target - origin) / np.linalg.norm(target - origin)
    right = np.cross(forward, (0, 1, 0))
    right = right / np.linalg.norm(right)
    up = np.cross(right, forward)
    steps = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    across, down = np.meshgrid(steps, steps)
    focal = 4.0
    rays = forward * focal + across[..., None] * right - down[..., None] * up
    rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3).T
    return origin.astype(np.float32), np.ascontiguousarray(rays, np.float32)


def _direction(azimuth: float, height: float) -> Array:
    around, above = np.radians(azimuth), np.radians(height)
    return vector((np.sin(around) * np.cos(above), np.sin(above), np.cos(around) * np.cos(above)))


def _march(distance: Distance, origin: Array, rays: Array, far: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """How far each ray travels, and whether it hits. Rays that miss the bounding sphere are not followed."""
    centre, radius = vector((0, 0.55, 0)), np.float32(1.05)
    along = (centre - origin) @ rays
    closest = length(vector((origin - centre)[:, None] + rays * along))
    half = np.sqrt(np.clip(radius**2 - closest**2, 0, None))
    travelled = np.maximum(along - half, 0).astype(np.float32)
    hit = np.zeros(rays.shape[1], bool)
    active = np.flatnonzero(closest < radius)
    for _ in range(_STEPS):
        step = distance(origin[:, None] + rays[:, active] * travelled[active])
        arrived = step < 0.0015
        hit[active[arrived]] = True
        travelled[active] += np.where(arrived, 0, step)
        active = active[~arrived & (travelled[active] < np.minimum(far[active], along[active] + half[active]))]
        if not len(active):
            break
    return travelled, hit


def _normals(distance: Distance, points: Array) -> Array:
    """The gradient, by differences along the four corners of a tetrahedron."""
    corners = vector([(1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)])
    normal = np.zeros_like(points)
    for corner in corners[:, :, None]:
        normal += corner * distance(points + corner * np.float32(0.002))
    return np.asarray(normal / np.maximum(length(normal), 1e-6), np.float32)


def _occlusion(distance: Distance, points: Array, normals: Array) -> Array:
    """How open the surroundings are: distances above the surface against the steps taken (Quilez)."""
    closed = np.zeros(points.shape[1], np.float32)
    for step, weight in ((0.02, 1.0), (0.07, 0.8), (0.16, 0.55), (0.30, 0.35)):
        closed += np.clip(np.float32(step) - distance(points + normals * np.float32(step)), 0, None) * np.float32(
            weight / step
        )
    return np.asarray(np.clip(1 - 0.42 * closed, 0.12, 1), np.float32)


def _shadow(distance: Distance, points: Array, light: Array) -> Array:
    """Soft shadow: the narrowest gap between the way to the light and the thing."""
    open_share = np.ones(points.shape[1], np.float32)
    travelled = np.full(points.shape[1], 0.02, np.float32)
    for _ in range(_SHADOW_STEPS):
        gap = distance(points + light[:, None] * travelled)
        open_share = np.minimum(open_share, np.clip(np.float32(9) * gap / travelled, 0, 1))
        travelled += np.clip(gap, 0.02, 0.16)
    return np.asarray(open_share * open_share * (3 - 2 * open_share), np.float32)
