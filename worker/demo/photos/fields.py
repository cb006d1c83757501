"""Signed distance functions: the distance from points to a shape's surface, negative inside.

Formulas: Inigo Quilez, "Distance functions", https://iquilezles.org/articles/distfunctions/. Points are float32 [3, n]
(x right, y up, z towards the viewer), results float32 [n].
"""

from __future__ import annotations

import numpy as np

from worker.demo.photos.noise import Array, vector

Vector = tuple[float, float, float]


def _at(points: Array, centre: Vector) -> Array:
    return vector(points - vector(centre)[:, None])


def length(vectors: Array) -> Array:
    """Of vectors [3, n]."""
    return np.asarray(np.sqrt(np.einsum("in,in->n", vectors, vectors)), np.float32)


def ellipsoid(points: Array, centre: Vector, radii: Vector) -> Array:
    """An ellipsoid; the distance is approximate, and exact for a sphere."""
    local = _at(points, centre)
    scaled = length(vector(local / vector(radii)[:, None]))
    steeper = length(vector(local / np.square(vector(radii))[:, None]))
    return np.asarray(scaled * (scaled - 1) / np.maximum(steeper, 1e-6), np.float32)


def box(points: Array, centre: Vector, half: Vector, rounding: float = 0.02) -> Array:
    """A box of these half sides (rounding included)."""
    outside = np.abs(_at(points, centre)) - (vector(half) - np.float32(rounding))[:, None]
    return np.asarray(length(np.maximum(outside, 0)) + np.minimum(outside.max(axis=0), 0) - np.float32(rounding))


def cylinder(
    points: Array, centre: Vector, radius: float, half_height: float, rounding: float = 0.01, *, axis: int = 1
) -> Array:
    """A cylinder along an axis (0 x, 1 y, 2 z)."""
    local = _at(points, centre)
    across = [place for place in range(3) if place != axis]
    radial = np.hypot(local[across[0]], local[across[1]]) - np.float32(radius - rounding)
    along = np.abs(local[axis]) - np.float32(half_height - rounding)
    return np.asarray(
        np.minimum(np.maximum(radial, along), 0)
        + np.hypot(np.maximum(radial, 0), np.maximum(along, 0))
        - np.float32(rounding)
    )


def cone(points: Array, centre: Vector, bottom: float, top: float, half_height: float) -> Array:
    """A vertical cone with these two radii; a bound, near enough for cones that are not flat."""
    local = _at(points, centre)
    share = np.clip(local[1] / np.float32(2 * half_height) + np.float32(0.5), 0, 1)
    radius = np.float32(bottom) + np.float32(top - bottom) * share
    slope = np.float32(np.cos(np.arctan2(abs(top - bottom), 2 * half_height)))
    radial = (np.hypot(local[0], local[2]) - radius) * slope
    along = np.abs(local[1]) - np.float32(half_height)
    return np.asarray(np.minimum(np.maximum(radial, along), 0) + np.hypot(np.maximum(radial, 0), np.maximum(along, 0)))


def torus(points: Array, centre: Vector, ring: float, thickness: float, axis: int = 2) -> Array:
    """A torus around an axis."""
    local = _at(points, centre)
    across = [place for place in range(3) if place != axis]
    around = np.hypot(local[across[0]], local[across[1]]) - np.float32(ring)
    return np.asarray(np.hypot(around, local[axis]) - np.float32(thickness))


def capsule(points: Array, start: Vector, end: Vector, radius: float, end_radius: float | None = None) -> Array:
    """A rod with round ends, tapering to ``end_radius``."""
    local = _at(points, start)
    rod = vector(end) - vector(start)
    share = np.clip(rod @ local / (rod @ rod), 0, 1)
    thickness = np.float32(radius) + np.float32((radius if end_radius is None else end_radius) - radius) * share
    return vector(length(vector(local - rod[:, None] * share)) - thickness)


def union(*distances: Array) -> Array:
    """The nearest of several shapes."""
    return np.asarray(np.minimum.reduce(distances))


def blend(first: Array, second: Array, width: float) -> Array:
    """A union whose seam is rounded over ``width``."""
    share = np.clip(0.5 + 0.5 * (second - first) / np.float32(width), 0, 1)
    return np.asarray(second + (first - second) * share - np.float32(width) * share * (1 - share))


def carve(shape: Array, hollow: Array) -> Array:
    """A shape without what lies inside another."""
    return np.asarray(np.maximum(shape, -hollow))


def mirrored(points: Array, axis: int = 0) -> Array:
    """Points folded onto the positive side: what is built there appears on both sides."""
    folded = points.copy()
    folded[axis] = np.abs(folded[axis])
    return folded
