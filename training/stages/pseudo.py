"""Pseudo-labels for people's own photos, by the averaged weights of an encoder: the target domain teaches itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import store as stores
from training.data.labels import LABELS
from training.stages.embedding import embedded, street_photos
from training.towers.clip import Prototypes

SCALE = 18.0
"""Of the cosine to the prototypes: near what the encoder itself learns."""


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
    pictures = list(street_photos(store, range(len(store.street)), side))
    views = (pictures, [picture[:, ::-1] for picture in pictures])
    both = [(SCALE * embedded(visual, view) @ prototypes.colours.T).softmax(1) for view in views]
    probability = torch.stack(both).mean(0).numpy().astype(np.float32)
    confidence, answer = probability.max(1), probability.argmax(1)
    sure = np.zeros(len(probability), bool)
    for colour in range(len(LABELS)):
        mine = np.nonzero(answer == colour)[0]
        best = mine[np.argsort(-confidence[mine])][: int(np.ceil(keep * len(mine)))]
        sure[best] = confidence[best] >= floor
    sharp = probability**sharpen
    return np.asarray(sharp / sharp.sum(1, keepdims=True) * sure[:, None], np.float32)
