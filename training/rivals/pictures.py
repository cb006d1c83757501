"""What the two trained rivals see, while they are trained and when they are asked.

- whole: the photo as it is. Trained on the shops' photos (items on white) with ordinary augmentation, which is what a
  user of a ready-made image classifier has.
- cut: the item alone on grey. Trained on cut-outs; asked, the photo is white-balanced, and GrabCut must find the item.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.data.cutouts import Pixels
from training.evaluation.naming import balance, grabcut

Kind = Literal["whole", "cut"]
KINDS: tuple[Kind, ...] = ("whole", "cut")
_GREY = 128


def to_train(kind: Kind, rgba: Pixels, side: int, rng: Generator) -> Pixels:
    """A cut-out uint8 [S, S, 4], turned, scaled, mirrored, lighter or darker: uint8 [side, side, 3].

    Colour is left alone, since it is the label.
    """
    size = rgba.shape[0]
    angle, scale = float(rng.normal(0, 10)), float(rng.uniform(0.65, 1.1)) * side / size
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), angle, scale)
    if rng.random() < 0.5:
        matrix[:, 0] *= -1
        matrix[0, 2] += scale * size
    centre = matrix @ np.array([size / 2, size / 2, 1])
    matrix[:, 2] += side / 2 - centre + rng.normal(0, 0.06, 2) * side
    moved = cv2.warpAffine(rgba, matrix, (side, side), flags=cv2.INTER_AREA if scale < 0.7 else cv2.INTER_LINEAR)
    alpha = moved[..., 3:].astype(np.float32) / 255
    ground = 255 if kind == "whole" else _GREY
    flat = moved[..., :3] * alpha + ground * (1 - alpha)
    if kind == "whole" or rng.random() < 0.5:
        flat = flat * rng.uniform(0.7, 1.15) + rng.uniform(-12, 12)
    return np.asarray(np.clip(flat, 0, 255), np.uint8)


def to_ask(kind: Kind, photo: Pixels) -> Pixels:
    """A decoded photo uint8 [side, side, 3] as the rival sees it."""
    if kind == "whole":
        return photo
    mask: NDArray[np.bool_] = grabcut(photo)
    return np.where(mask[..., None], balance(photo), np.uint8(_GREY))
