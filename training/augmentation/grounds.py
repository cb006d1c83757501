"""What an item lies on: a corner of somebody's photo, the same in another colour, or a plain surface."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.data.cutouts import Pixels


def ground(photo: Pixels, width: int, height: int, rng: Generator) -> Pixels:
    """One of the three, uint8 [H, W, 3]; most are real, and the made ones keep colours of all kinds among them.

    Parameters:
        photo: one street photo, uint8 [T, T, 3].
    """
    kind = rng.random()
    if kind < 0.3:
        return plain(width, height, rng)
    patch = street_patch(photo, width, height, rng)
    return tinted(patch, rng) if kind < 0.5 else patch


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


def tinted(picture: Pixels, rng: Generator) -> Pixels:
    """The same folds and grain in another colour: a sheet, a rug or a wall that nobody here happens to have.

    Without these a tower takes a red sheet for red light, and the grey shirt on it for a light blue one.

    Parameters:
        picture: uint8 [H, W, 3].
    """
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    centre, own = _any_colour(rng), lab.reshape(-1, 3).mean(0)
    lab = centre + (lab - own) * np.array([rng.uniform(0.6, 1.1), 0.3, 0.3], np.float32)
    return _rgb(lab)


def plain(width: int, height: int, rng: Generator) -> Pixels:
    """A surface of any colour with soft grain."""
    rgb = _rgb(_any_colour(rng)[None, None])[0, 0].astype(np.float32)
    grain = cv2.resize(rng.standard_normal((int(rng.integers(3, 24)),) * 2, np.float32), (width, height))
    image = rgb * (1 + rng.uniform(0, 0.12) * grain[:, :, None])
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _any_colour(rng: Generator) -> NDArray[np.float32]:
    """CIELAB, float32 [3]: any lightness, half of them nearly neutral."""
    chroma, hue = rng.choice([rng.uniform(0, 12), rng.uniform(0, 70)]), rng.uniform(0, 2 * np.pi)
    return np.array([rng.uniform(15, 96), chroma * np.cos(hue), chroma * np.sin(hue)], np.float32)


def _rgb(lab: NDArray[np.float32]) -> Pixels:
    return np.asarray(np.clip(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1) * 255, np.uint8)
