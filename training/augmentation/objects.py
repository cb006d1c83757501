"""Made objects: smooth bodies in one paint or metal, for what the shops' photos lack (furniture, crockery, toys).

They are no likeness of anything. They teach that the colour is that of the body in front, whatever the body is, and
what metal looks like: a surface that mirrors light and dark, whereas cloth only shades.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.augmentation.recolour import METALS, PAINTS, chosen, gilded
from training.data.cutouts import Pixels
from training.data.labels import one_hot

SIDE = 128
_FINE = 2 * SIDE


def _body(rng: Generator) -> NDArray[np.uint8]:
    """One body's silhouette, uint8 [256, 256] of 0 and 255: a blob, a box, a cylinder, or a ring."""
    mask = np.zeros((_FINE, _FINE), np.uint8)
    centre, kind = rng.uniform(0.42, 0.58, 2) * _FINE, rng.random()
    across, tall = rng.uniform(0.18, 0.4, 2) * _FINE
    if kind < 0.4:
        angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        order = np.arange(1, 6)[:, None]
        waves = rng.normal(0, 0.16, (5, 1)) / order * np.cos(order * angle + rng.uniform(0, 2 * np.pi, (5, 1)))
        radius = 1 + waves.sum(0)
        outline = np.stack([across * np.cos(angle), tall * np.sin(angle)], 1) * radius[:, None] + centre
        cv2.fillPoly(mask, [outline.astype(np.int32)], 255)
    elif kind < 0.65:
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (across, tall)
        cv2.fillPoly(mask, [(corners * rng.uniform(0.8, 1.1, (4, 2)) + centre).astype(np.int32)], 255)
        soft = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(2, 14)))
        mask = np.where(soft > 127, 255, 0).astype(np.uint8)
    elif kind < 0.9:
        squash, taper = across * rng.uniform(0.1, 0.35), rng.uniform(0.55, 1.25)
        top, bottom = centre - np.array([0, tall]), centre + np.array([0, tall])
        half, foot = np.array([across, 0]), np.array([across * taper, 0])
        sides = np.array([top - half, top + half, bottom + foot, bottom - foot])
        cv2.fillPoly(mask, [sides.astype(np.int32)], 255)
        for middle, width in ((top, across), (bottom, across * taper)):
            cv2.ellipse(mask, (tuple(middle), (2 * width, 2 * squash), 0.0), 255, -1)
    else:
        radius, thick = min(across, tall) * 0.9, int(rng.uniform(0.08, 0.2) * _FINE)
        axes = (int(radius), int(radius * rng.uniform(0.5, 1)))
        cv2.ellipse(mask, (int(centre[0]), int(centre[1])), axes, float(rng.uniform(0, 180)), 0, 360, 255, thick)
    return mask


def _limbs(body: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Legs, a handle or a lid that stick out of the body, uint8 like it."""
    limbs = np.zeros_like(body)
    ys, xs = np.nonzero(body)
    for _ in range(int(rng.integers(1, 5))):
        start = int(rng.integers(len(xs)))
        end = (xs[start] + rng.normal(0, 0.12) * _FINE, ys[start] + abs(rng.normal(0, 0.35)) * _FINE)
        thick = int(rng.uniform(0.02, 0.07) * _FINE)
        cv2.line(limbs, (int(xs[start]), int(ys[start])), (int(end[0]), int(end[1])), 255, thick)
    return np.where(body > 0, 0, limbs).astype(np.uint8)


def _shading(body: NDArray[np.uint8], rng: Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lambert's shading and a gloss of the body as a relief, both float32 [256, 256] in 0..1."""
    inside = cv2.distanceTransform(body, cv2.DIST_L2, 5)
    reach = max(float(inside.max()) * float(rng.uniform(0.4, 1.0)), 1.0)
    height = np.sqrt(np.clip(1 - (1 - np.clip(inside / reach, 0, 1)) ** 2, 0, 1)) * reach * rng.uniform(0.5, 1.0)
    height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), 3.0)
    height += cv2.resize(rng.standard_normal((12, 12), np.float32), body.shape[::-1]) * float(rng.uniform(0, 2))
    slope_x, slope_y = cv2.Sobel(height, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(height, cv2.CV_32F, 0, 1) / 8
    normal = np.dstack([-slope_x, -slope_y, np.ones_like(slope_x)])
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    light = np.array([rng.normal(0, 0.6), rng.normal(-0.5, 0.4), 1.0])
    cosine = np.clip(normal @ (light / np.linalg.norm(light)).astype(np.float32), 0, 1)
    return cosine.astype(np.float32), (cosine ** float(rng.uniform(20, 80))).astype(np.float32)


def made_object(rng: Generator) -> tuple[Pixels, NDArray[np.float32]]:
    """One object.

    Returns:
        uint8 [128, 128, 4] on transparency, and its one-hot target, float32 [18].
    """
    name = str(rng.choice([*PAINTS, *METALS]))
    body = _body(rng)
    shade, gloss = _shading(body, rng)
    limbs = _limbs(body, rng) if rng.random() < 0.5 else np.zeros_like(body)
    grey = 110 + 90 * (shade - 0.8) + 6 * cv2.resize(rng.standard_normal((64, 64), np.float32), body.shape)
    rgba = np.dstack([np.repeat(np.clip(grey, 0, 255)[:, :, None], 3, 2), body]).astype(np.uint8)
    rgba = gilded(rgba, name, rng) if name in METALS else chosen(rgba, name, rng)
    shine = float(rng.choice([0.0, rng.uniform(0.2, 0.8)]))
    rgb = rgba[:, :, :3] + shine * gloss[:, :, None] * (255 - rgba[:, :, :3].astype(np.float32))
    if limbs.any():
        # Limbs in the body's own paint or, as often, of wood, iron or plastic.
        own = np.median(rgb[body > 0], axis=0) if rng.random() < 0.5 and body.any() else rng.integers(10, 210, 3)
        rgb = np.where(limbs[:, :, None] > 0, own * rng.uniform(0.7, 1.0), rgb)
    out = np.dstack([np.clip(rgb, 0, 255), np.maximum(body, limbs)]).astype(np.uint8)
    return cv2.resize(out, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8), one_hot(name)
