"""Embeddings of composed pictures, and of stored photos nearly as served (the store scaled them once before)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from training.augmentation.compose import letterbox
from training.data.cutouts import Pixels
from training.data.loader import Batch, Pictures, batches
from training.data.store import Store
from training.devices import save, where
from training.stages.encoder import normalised

_BATCH = 64

_KEEP_EVERY = 16
"""Batches of 64 pictures between two times that the embeddings are written."""


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


def on_white(cutouts: Iterable[Pixels], side: int) -> Iterator[Pixels]:
    """Cut-outs uint8 [S, S, 4] each on white: uint8 [side, side, 3] each."""
    for cutout in cutouts:
        alpha = np.asarray(cutout[:, :, 3:], np.float32) / 255
        white = np.asarray(cutout[:, :, :3] * alpha + 255 * (1 - alpha), np.float32)
        yield np.asarray(cv2.resize(white, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


@torch.inference_mode()
def composed(
    visual: torch.nn.Module, pictures: Pictures, count: int, *, cache: Path, key: str, workers: int
) -> tuple[Tensor, Tensor]:
    """Embeddings [count, D] and targets [count, 18] of pictures whose colour is known.

    They are slow to make, so they are kept in ``cache``, and a run that was killed goes on there.

    Parameters:
        visual: computes where it is; what it returns is kept on the CPU.
        cache: a file; what it holds is used if it was made under the same ``key``.
        key: whatever decides the embeddings: weights, side, mixture, seed.
    """
    z, target = torch.zeros(0), torch.zeros(0)
    number = 0
    if cache.is_file():
        kept = torch.load(cache, weights_only=True)
        if kept["key"] == key:
            z, target, number = kept["z"], kept["target"], kept["number"]
    pictures.first = number
    stream = batches(pictures, workers) if len(z) < count else iter(())
    bar = tqdm(total=count, initial=min(len(z), count), desc="embeddings", mininterval=10)
    while len(z) < count:
        batch = Batch(*next(stream))
        known, number = batch.target.sum(1) > 0, number + 1
        rows = functional.normalize(visual(normalised(batch.pixels[known].to(where(visual)), visual)), dim=-1).cpu()
        z, target = torch.cat([z, rows]) if len(z) else rows, torch.cat([target, batch.target[known]])
        bar.update(len(rows))
        if number % _KEEP_EVERY == 0 or len(z) >= count:
            save({"key": key, "z": z, "target": target, "number": number}, cache)
    bar.close()
    return z[:count].clone(), target[:count].clone()
