"""Stored photos nearly as they are served (the store scaled them once before), and their embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.augmentation.compose import letterbox
from training.data.cutouts import Pixels
from training.data.store import Store
from training.devices import where
from training.stages.encoder import normalised

_BATCH = 64


@torch.no_grad()
def embedded(visual: torch.nn.Module, pictures: Iterable[Pixels]) -> Tensor:
    """Normalised embeddings, float32 [n, D], of pictures uint8 [side, side, 3], a batch in memory at a time.

    They are computed where the tower is, and returned on the CPU.
    """
    visual.eval()
    left, parts = iter(pictures), []
    while some := list(islice(left, _BATCH)):
        pixels = torch.from_numpy(np.stack(some)).to(where(visual))
        parts.append(functional.normalize(visual(normalised(pixels, visual)), dim=-1).cpu())
    return torch.cat(parts)


def street_photos(store: Store, rows: Iterable[int], side: int) -> Iterator[Pixels]:
    """Street photos in their own aspect, letterboxed on white: uint8 [side, side, 3] each."""
    for row in rows:
        aspect = float(store.street_aspect[row])
        size = (round(side * min(aspect, 1)), round(side * min(1 / aspect, 1)))
        upright = cv2.resize(np.asarray(store.street[row]), size, interpolation=cv2.INTER_AREA)
        yield letterbox(np.asarray(upright, np.uint8), side)


def on_white(cutouts: Pixels, side: int) -> Iterator[Pixels]:
    """Cut-outs uint8 [N, S, S, 4] on white: uint8 [side, side, 3] each."""
    for cutout in cutouts:
        alpha = np.asarray(cutout[:, :, 3:], np.float32) / 255
        white = np.asarray(cutout[:, :, :3] * alpha + 255 * (1 - alpha), np.float32)
        yield np.asarray(cv2.resize(white, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
