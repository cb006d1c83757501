"""Batches of composed pictures, made in worker processes by NumPy and OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from training.augmentation.compose import compose, disturb
from training.augmentation.objects import made_object
from training.augmentation.recolour import pattern, random_paint
from training.data import store as stores

MASK_STRIDE = 8


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Shares of each kind of picture in a batch; the rest are plain cut-outs with their shop's label.

    Parameters:
        painted: cut-outs in another colour.
        patterned: cut-outs in several colours at once.
        made: objects of no shop, see ``augmentation.objects``.
        street: people's own photos; with a pseudo-label if there is one, else for their item only.
        balance: 0 draws colours as often as the shops have them, 1 equally often.
    """

    painted: float = 0.22
    patterned: float = 0.07
    made: float = 0.0
    street: float = 0.0
    balance: float = 0.75


class Batch(NamedTuple):
    """One batch.

    Parameters:
        pixels: uint8 [B, side, side, 3].
        mask: uint8 [B, side/8, side/8], 0..255; meaningless where ``composed`` is false.
        target: float32 [B, 18], all zeros where the colour is unknown.
        item: int64 [B], -1 where unknown.
        composed: bool [B], whether ``mask`` is known.
        weight: float32 [B], of the colour loss.
    """

    pixels: Tensor
    mask: Tensor
    target: Tensor
    item: Tensor
    composed: Tensor
    weight: Tensor


class Pictures(IterableDataset[Batch]):
    """An endless stream of batches.

    Parameters:
        folder: of the store.
        seed: together with a batch's number it decides the whole batch, so a stream that begins at ``first`` goes on
            exactly as the one that was broken off before it.
        first: number of the first batch.
        pseudo: float32 [M, 18] pseudo-labels of the street photos, rows of zeros where unsure; None for none.
        targets: float32 [N, 18] instead of the store's; rows of zeros are never drawn.
    """

    def __init__(
        self,
        folder: Path,
        side: int,
        batch: int,
        *,
        mix: Mix,
        seed: int | tuple[int, ...],
        first: int = 0,
        pseudo: NDArray[np.float32] | None = None,
        targets: NDArray[np.float32] | None = None,
    ) -> None:
        self.folder, self.side, self.batch, self.mix, self.seed = folder, side, batch, mix, seed
        self.pseudo, self.targets, self.first = pseudo, targets, first

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(0)
        info = get_worker_info()
        # Worker w of n makes the batches w, w + n, …; the loader hands them out in turn.
        number, stride = self.first + (info.id if info else 0), info.num_workers if info else 1
        seed = self.seed if isinstance(self.seed, tuple) else (self.seed,)
        store = stores.load(self.folder)
        targets = store.targets if self.targets is None else self.targets
        main = targets.argmax(1)
        count = np.bincount(main[targets.sum(1) > 0], minlength=targets.shape[1]).clip(1)
        chance = count[main] ** -self.mix.balance * (targets.sum(1) > 0)
        if self.pseudo is not None:
            sure = np.nonzero(self.pseudo.sum(1) > 0)[0]
            street_count = np.bincount(self.pseudo[sure].argmax(1), minlength=targets.shape[1]).clip(1)
            street_chance = street_count[self.pseudo[sure].argmax(1)] ** -0.5
            street_chance /= street_chance.sum()
        # Cumulative sums and a binary search: drawing by weight from 30,000 rows thousands of times a minute.
        ladder = np.cumsum(chance / chance.sum())
        while True:
            rng = np.random.default_rng((*seed, number))
            number += stride
            rows = [
                self._one(store, targets, ladder, rng, sure=sure, street_chance=street_chance)
                if self.pseudo is not None
                else self._one(store, targets, ladder, rng, sure=None, street_chance=None)
                for _ in range(self.batch)
            ]
            yield Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)))

    def _one(
        self,
        store: stores.Store,
        targets: NDArray[np.float32],
        ladder: NDArray[np.float64],
        rng: np.random.Generator,
        *,
        sure: NDArray[np.int64] | None,
        street_chance: NDArray[np.float64] | None,
    ) -> tuple[Any, ...]:
        cells = self.side // MASK_STRIDE
        street = int(rng.integers(len(store.street)))
        if rng.random() < self.mix.street:
            target = np.zeros(targets.shape[1], np.float32)
            if sure is not None and self.pseudo is not None and rng.random() < 0.9:
                street = int(rng.choice(sure, p=street_chance))
                target = self.pseudo[street]
            pixels = disturb(store.street[street], float(store.street_aspect[street]), self.side, rng)
            none = np.zeros((cells, cells), np.uint8)
            return pixels, none, target, store.street_items[street], np.bool_(False), np.float32(1)
        row = min(int(np.searchsorted(ladder, rng.random())), len(targets) - 1)
        rgba, target, item = np.asarray(store.cutouts[row]), targets[row], store.items[row]
        kind = rng.random()
        if kind < self.mix.painted:
            rgba, target = random_paint(rgba, rng)
        elif kind < self.mix.painted + self.mix.patterned:
            rgba, target = pattern(rgba, rng)
        elif kind < self.mix.painted + self.mix.patterned + self.mix.made:
            rgba, target = made_object(rng)
            item = np.int64(-1)
        pixels, mask = compose(rgba, np.asarray(store.street[street]), self.side, rng)
        small = cv2.resize(mask, (cells, cells), interpolation=cv2.INTER_AREA)
        return pixels, small, target, item, np.bool_(True), np.float32(1)


def batches(pictures: Pictures, workers: int) -> Iterator[Batch]:
    """Iterate forever, in ``workers`` processes (0: in this one)."""
    loader: DataLoader[Batch] = DataLoader(
        pictures, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None
    )
    return iter(loader)
