"""Compose a cut-out with a background into what a person's own photo looks like; the mask comes for free."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.augmentation.light import camera, fall_off, illuminant
from training.data.cutouts import Pixels

ASPECTS = ((0.75, 0.62), (1.0, 0.17), (1.333, 0.1), (0.5625, 0.11))
"""Width / height of listing photos with their shares."""


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
"""One pixel off the edge of a cut-out, where the studio's white shines through."""


def street_patch(photo: Pixels, width: int, height: int, rng: Generator) -> Pixels:
    """A corner of a street photo, where the floor, bed or wall is, stretched over the frame."""
    side = photo.shape[0]
    w, h = int(side * rng.uniform(0.22, 0.45)), int(side * rng.uniform(0.22, 0.45))
    left, top = (0 if rng.random() < 0.5 else side - w), (0 if rng.random() < 0.5 else side - h)
    patch = photo[top : top + h, left : left + w]
    if rng.random() < 0.5:
        # Mirrored tiles keep the texture's own scale.
        patch = np.concatenate([patch, patch[:, ::-1]], axis=1)
        patch = np.concatenate([patch, patch[::-1]], axis=0)
    return cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def plain(width: int, height: int, rng: Generator) -> Pixels:
    """A surface of any colour with soft texture."""
    lab = np.array([[[rng.uniform(15, 96), 0, 0]]], np.float32)
    chroma, hue = rng.choice([rng.uniform(0, 12), rng.uniform(0, 70)]), rng.uniform(0, 2 * np.pi)
    lab[0, 0, 1:] = chroma * np.cos(hue), chroma * np.sin(hue)
    rgb = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)[0, 0]
    grain = cv2.resize(rng.standard_normal((int(rng.integers(3, 24)),) * 2, np.float32), (width, height))
    image = rgb * (1 + rng.uniform(0, 0.12) * grain[:, :, None])
    return np.asarray(np.clip(image, 0, 1) * 255, np.uint8)


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
    if studio:
        background = np.full((height, width, 3), 255, np.uint8)
    elif rng.random() < 0.72:
        background = street_patch(street, width, height, rng)
    else:
        background = plain(width, height, rng)
    ground = background.astype(np.float32)
    if not studio:
        right, down = rng.integers(1, 6, 2)
        soft = cv2.blur(np.roll(alpha, (int(down), int(right)), (0, 1)), (int(rng.integers(3, 9)),) * 2)
        ground *= 1 - np.float32(rng.uniform(0, 0.5)) * soft[:, :, None]
    front = item.astype(np.float32)
    if rng.random() < 0.5:
        # Cloth on a bed is neither as bright nor as contrasty as in a studio.
        front = front * np.float32(rng.uniform(0.75, 1.0)) + np.float32(rng.uniform(0, 10))
    image = ground + (front - ground) * alpha[:, :, None]
    if not studio:
        image *= fall_off(width, height, rng)
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    if not studio or rng.random() < 0.15:
        pixels = camera(pixels, illuminant(rng, 0.3 if studio else 1.0), rng)
    return letterbox(pixels, side), letterbox((alpha * 255).astype(np.uint8), side, 0)


def disturb(photo: Pixels, aspect: float, side: int, rng: Generator) -> Pixels:
    """A street photo itself, moved and relit a little, for pseudo-labelled training.

    Parameters:
        photo: uint8 [T, T, 3], stored without its aspect.
        aspect: width / height.
    """
    size = photo.shape[0]
    margin = int(size * 0.1)
    left, top, right, bottom = rng.integers(0, margin + 1, 4)
    crop = photo[top : size - bottom, left : size - right]
    width, height = round(side * min(aspect, 1)), round(side * min(1 / aspect, 1))
    crop = np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return letterbox(camera(crop, illuminant(rng, 0.6), rng), side)
