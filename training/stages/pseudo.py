"""Pseudo-labels for people's own photos, by the averaged weights of an encoder: the target domain teaches itself."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.augmentation.compose import letterbox
from training.data import store as stores
from training.data.cutouts import Pixels
from training.data.labels import LABELS
from training.stages.encoder import normalised
from training.towers.clip import Prototypes

SCALE = 18.0
"""Of the cosine to the prototypes: near what the encoder itself learns."""


def fitted(photo: Pixels, aspect: float, side: int) -> Pixels:
    """A stored street photo in its own aspect, letterboxed on white: uint8 [side, side, 3]."""
    size = (round(side * min(aspect, 1)), round(side * min(1 / aspect, 1)))
    return letterbox(cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(np.uint8), side)


@torch.inference_mode()
def pseudo_labels(
    visual: torch.nn.Module,
    prototypes: Prototypes,
    folder: Path,
    side: int,
    *,
    keep: float = 0.7,
    floor: float = 0.45,
    sharpen: float = 1.5,
) -> NDArray[np.float32]:
    """Label distributions of the street photos, float32 [M, 18]; rows of zeros where the encoder is unsure.

    Parameters:
        keep: share of each predicted colour that is kept, the surest first, so that rare colours are not left out.
        floor: confidence under which nothing is kept.
        sharpen: exponent of the probabilities before they are normalised again.
    """
    store = stores.load(folder)
    visual.eval()
    rows: list[Tensor] = []
    for first in range(0, len(store.street), 64):
        part = range(first, min(first + 64, len(store.street)))
        pictures = np.stack([fitted(np.asarray(store.street[i]), float(store.street_aspect[i]), side) for i in part])
        pixels = torch.from_numpy(pictures)
        both = [functional.normalize(visual(normalised(view, visual)), dim=-1) for view in (pixels, pixels.flip(2))]
        rows.append(sum((SCALE * z @ prototypes.colours.T).softmax(1) for z in both) / len(both))  # type: ignore[arg-type]
    probability = torch.cat(rows).numpy().astype(np.float32)
    confidence, answer = probability.max(1), probability.argmax(1)
    sure = np.zeros(len(probability), bool)
    for colour in range(len(LABELS)):
        mine = np.nonzero(answer == colour)[0]
        best = mine[np.argsort(-confidence[mine])][: int(np.ceil(keep * len(mine)))]
        sure[best] = confidence[best] >= floor
    sharp = probability**sharpen
    return np.asarray(sharp / sharp.sum(1, keepdims=True) * sure[:, None], np.float32)
