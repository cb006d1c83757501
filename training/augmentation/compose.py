"""Compose a cut-out with a background into what a person's own photo looks like; the mask comes for free."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.augmentation.grounds import ground, tinted
from training.augmentation.light import automatic, camera, fall_off, illuminant
from training.data.cutouts import Pixels

_GREY_STUDIO = 0.3
"""Share of the studios that are not white; a choice, not a measurement."""

ASPECTS = ((0.75, 0.62), (1.0, 0.17), (1.333, 0.1), (0.5625, 0.11))
"""Width / height of listing photos with their shares."""


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
"""One pixel off the edge of a cut-out, where the studio's white shines through."""


def place(rgba: Pixels, width: int, height: int, rng: Generator) -> tuple[Pixels, NDArray[np.float32]]:
    """Scale, turn, mirror and shift the item: uint8 [H, W, 3] and alpha float32 [H, W] in 0..1."""
    side = rgba.shape[0]
    scale = rng.uniform(0.72, 1.2) * min(width, height) / side
    if rng.random() < 0.15:
        scale *= rng.uniform(1.1, 1.5)
    angle = rng.normal(0, 12) + (90 * rng.integers(4) if rng.random() < 0.15 else 0)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), float(angle), float(scale))
    squash = rng.uniform(0.9, 1.2)
    matrix[1] *= squash
    if rng.random() < 0.5:
        matrix[:, 0] *= -1
    centre = matrix @ np.array([side / 2, side / 2, 1])
    matrix[0, 2] += width / 2 - centre[0] + rng.normal(0, 0.05) * width
    matrix[1, 2] += height / 2 - centre[1] + rng.normal(0, 0.05) * height
    warped = cv2.warpAffine(rgba, matrix, (width, height), flags=cv2.INTER_AREA if scale < 0.7 else cv2.INTER_LINEAR)
    alpha = np.asarray(cv2.erode(warped[:, :, 3], _CROSS), np.float32) / np.float32(255)
    return warped[:, :, :3].astype(np.uint8), alpha


def letterbox(image: NDArray[np.uint8], side: int, fill: int = 255) -> NDArray[np.uint8]:
    """Fit into a square as ``worker.images.decode`` does: centred, ``fill`` around."""
    height, width = image.shape[:2]
    shape = (side, side, *image.shape[2:])
    out = np.full(shape, fill, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    out[top : top + height, left : left + width] = image
    return out


def compose(rgba: Pixels, street: Pixels, side: int, rng: Generator) -> tuple[Pixels, Pixels]:
    """One training picture.

    Parameters:
        rgba: the item, uint8 [S, S, 4].
        street: one street photo, uint8 [T, T, 3].
        side: edge of the result.

    Returns:
        pixels uint8 [side, side, 3] and the item's mask uint8 [side, side] in 0..255.
    """
    aspect = ASPECTS[int(rng.choice(len(ASPECTS), p=[share for _, share in ASPECTS]))][0]
    width, height = (round(side * min(aspect, 1)), round(side * min(1 / aspect, 1)))
    item, alpha = place(rgba, width, height, rng)
    studio = rng.random() < 0.24
    # Some studios are light grey: there white is not the colour of the ground.
    level = int(rng.integers(150, 256)) if rng.random() < _GREY_STUDIO else 255
    plain = np.full((height, width, 3), level, np.uint8)
    background = plain if studio else ground(street, width, height, rng)
    behind = background.astype(np.float32)
    if not studio:
        right, down = rng.integers(1, 6, 2)
        soft = cv2.blur(np.roll(alpha, (int(down), int(right)), (0, 1)), (int(rng.integers(3, 9)),) * 2)
        behind *= 1 - np.float32(rng.uniform(0, 0.5)) * soft[:, :, None]
    front = item.astype(np.float32)
    if rng.random() < 0.5:
        # Cloth on a bed is neither as bright nor as contrasty as in a studio.
        front = front * np.float32(rng.uniform(0.75, 1.0)) + np.float32(rng.uniform(0, 10))
    image = behind + (front - behind) * alpha[:, :, None]
    if not studio:
        image *= fall_off(width, height, rng)
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    if not studio or rng.random() < 0.15:
        light = illuminant(rng, 0.3) if studio else illuminant(rng) * automatic(pixels, rng)
        pixels = camera(pixels, light, rng)
    return letterbox(pixels, side), letterbox((alpha * 255).astype(np.uint8), side, 0)


def disturb(
    photo: Pixels, aspect: float, side: int, rng: Generator, mask: Pixels | None = None
) -> tuple[Pixels, Pixels]:
    """A street photo itself, cropped, turned, relit; where its item is known, sometimes on a ground of another colour.

    Parameters:
        photo: uint8 [T, T, 3], stored without its aspect.
        aspect: width / height.
        mask: of the item, uint8 [T, T] in 0..255; None where it is unknown.

    Returns:
        pixels uint8 [side, side, 3] and the item's mask uint8 [side, side], zeros where it is unknown.
    """
    size = photo.shape[0]
    known = np.zeros(photo.shape[:2], np.uint8) if mask is None else mask
    margin = int(size * (0.1 if rng.random() < 0.6 else 0.2))
    left, top, right, bottom = rng.integers(0, margin + 1, 4)
    frame = np.s_[top : size - bottom, left : size - right]
    width, height = round(side * min(aspect, 1)), round(side * min(1 / aspect, 1))
    crop = np.asarray(cv2.resize(photo[frame], (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    known = np.asarray(cv2.resize(known[frame], (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    if mask is not None and rng.random() < 0.3:
        front = known[:, :, None].astype(np.float32) / 255
        crop = (crop * front + tinted(crop, rng) * (1 - front)).astype(np.uint8)
    if rng.random() < 0.5:
        crop, known = crop[:, ::-1], known[:, ::-1]
    if rng.random() < 0.4:
        angle, scale = float(rng.normal(0, 10)), float(rng.uniform(0.95, 1.15))
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
        crop = cv2.warpAffine(crop, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101).astype(np.uint8)
        known = cv2.warpAffine(known, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101).astype(np.uint8)
    return letterbox(camera(crop, illuminant(rng, 0.6), rng), side), letterbox(known, side, 0)
