"""Batches of composed pictures, made in worker processes by NumPy and OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
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
from training.augmentation.recolour import Shades, pattern, printed, random_paint, shades
from training.data import store as stores
from training.data import things
from training.data.cutouts import Pixels
from training.data.own import Own

MASK_STRIDE = 8
LABELLED = 0.9
"""Share of the whole street photos that are drawn for their colour; the others only for their item."""
DRAWN = 0.75
"""Share of the objects of no shop that are drawn things; the others are made bodies. Half of the things are painted."""
UNLABELLED = 0.3
"""Share of people's own cut-outs that have no usable label, and are painted."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Shares of each kind of picture in a batch; the rest are plain cut-outs with their shop's label.

    Parameters:
        painted: cut-outs in another colour.
        patterned: cut-outs in several colours at once.
        printed: of painted and of plain cut-outs, those that get a print, see ``recolour.printed``.
        made: objects of no shop, see ``data.things`` and ``augmentation.objects``.
        street: people's own photos; with a pseudo-label if there is one, else for their item only.
        own: of the rest, those whose item is cut out of somebody's own photo instead of a shop's.
        balance: 0 draws colours as often as the shops have them, 1 equally often.
    """

    painted: float = 0.22
    patterned: float = 0.07
    printed: float = 0.0
    made: float = 0.0
    street: float = 0.0
    own: float = 0.0
    balance: float = 0.75


class Batch(NamedTuple):
    """One batch.

    Parameters:
        pixels: uint8 [B, side, side, 3].
        mask: uint8 [B, side/8, side/8], 0..255; meaningless where ``composed`` is false.
        target: float32 [B, 18], all zeros where the colour is unknown.
        item: int64 [B], -1 where unknown.
        composed: bool [B], whether ``mask`` is known.
    """

    pixels: Tensor
    mask: Tensor
    target: Tensor
    item: Tensor
    composed: Tensor


class _Plain(NamedTuple):
    """An item as it is: uint8 [128, 128, 4], its colours float32 [18] or zeros, and what it is."""

    cutout: Pixels
    target: NDArray[np.float32]
    item: np.int64


class Pictures(IterableDataset[Batch]):
    """An endless stream of batches.

    Parameters:
        folder: of the store.
        seed: together with a batch's number it decides the whole batch, so a stream that begins at ``first`` goes on
            exactly as the one that was broken off before it.
        first: number of the first batch.
        pseudo: float32 [M, 18] pseudo-labels of the street photos, rows of zeros where unsure; None for none.
        targets: float32 [N, 18] instead of the store's; rows of zeros are never drawn.
        own: the street photos taken apart; None where only the shops' items are cut out.
        hidden: street photos that are never drawn whole, bool [M] (a corner of one may be ground); None for none.
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
        own: Own | None = None,
        hidden: NDArray[np.bool_] | None = None,
    ) -> None:
        self.folder, self.side, self.batch, self.mix, self.seed = folder, side, batch, mix, seed
        self.pseudo, self.targets, self.first, self.own, self.hidden = pseudo, targets, first, own, hidden

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(0)
        info = get_worker_info()
        # Worker w of n makes the batches w, w + n, …; the loader hands them out in turn.
        number, stride = self.first + (info.id if info else 0), info.num_workers if info else 1
        seed = self.seed if isinstance(self.seed, tuple) else (self.seed,)
        store = stores.load(self.folder)
        targets = store.targets if self.targets is None else self.targets
        # The shops' own words are no measure of a shade.
        real = None if self.targets is None else shades(store.lab, targets)
        shops = Ladder.balanced(targets, self.mix.balance)
        seen = None if self.pseudo is None or not self.pseudo.any() else Ladder.balanced(self.pseudo, 0.5)
        own = None if self.own is None or self.pseudo is None else _Alone.of(self.own, self.pseudo, self.mix.balance)
        whole = np.arange(len(store.street)) if self.hidden is None else np.nonzero(~self.hidden)[0]
        while True:
            rng = np.random.default_rng((*seed, number))
            number += stride
            rows = []
            for _ in range(self.batch):
                if rng.random() < self.mix.street:
                    rows.append(self._whole(store, whole, seen, rng))
                    continue
                if own is not None and rng.random() < self.mix.own:
                    one = own.ladder.draw(rng)
                    plain = _Plain(own.cutouts[one], own.targets[one], store.street_items[own.rows[one]])
                else:
                    one = shops.draw(rng)
                    plain = _Plain(store.cutouts[one], targets[one], store.items[one])
                rows.append(self._composed(store, plain, rng, real))
            yield Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)))

    def _whole(
        self, store: stores.Store, free: NDArray[np.int64], seen: Ladder | None, rng: np.random.Generator
    ) -> tuple[Any, ...]:
        """Somebody's photo as it is, with its label where there is one; one of ``free``, or one of those labelled."""
        row, target = int(free[rng.integers(len(free))]), np.zeros(store.targets.shape[1], np.float32)
        if seen is not None and self.pseudo is not None and rng.random() < LABELLED:
            row = seen.draw(rng)
            target = self.pseudo[row]
        mask = None if self.own is None or not self.own.masks[row].any() else self.own.masks[row]
        pixels, known = disturb(store.street[row], float(store.street_aspect[row]), self.side, rng, mask)
        return pixels, self._small(known), target, store.street_items[row], np.bool_(mask is not None)

    def _composed(
        self, store: stores.Store, plain: _Plain, rng: np.random.Generator, real: Shades | None
    ) -> tuple[Any, ...]:
        """A cut-out, as it is or in another colour, on some ground; one whose colour is unknown is always painted."""
        rgba, target, item, kind = np.asarray(plain.cutout), plain.target, plain.item, rng.random()
        if kind < self.mix.painted:
            rgba, target = random_paint(rgba, rng, real)
        elif kind < self.mix.painted + self.mix.patterned:
            rgba, target = pattern(rgba, rng)
        elif kind < self.mix.painted + self.mix.patterned + self.mix.made:
            rgba, target = _thing(rng, real) if rng.random() < DRAWN else made_object(rng)
            item = np.int64(-1)
        elif not target.any():
            rgba, target = random_paint(rgba, rng, real)
        others = self.mix.painted, self.mix.painted + self.mix.patterned + self.mix.made
        if not others[0] <= kind < others[1] and rng.random() < self.mix.printed:
            rgba, target = printed(rgba, target, rng)
        street = np.asarray(store.street[int(rng.integers(len(store.street)))])
        pixels, mask = compose(rgba, street, self.side, rng)
        return pixels, self._small(mask), target, item, np.bool_(True)

    def _small(self, mask: Pixels) -> Pixels:
        cells = self.side // MASK_STRIDE
        return np.asarray(cv2.resize(mask, (cells, cells), interpolation=cv2.INTER_AREA), np.uint8)


def _thing(rng: np.random.Generator, real: Shades | None) -> tuple[Pixels, NDArray[np.float32]]:
    """A drawn thing in its own colour, or in another that it may never have: uint8 [128, 128, 4] and float32 [18]."""
    drawn = things.load()
    one = _ladder_of_things().draw(rng)
    cutout, target = drawn.cutouts[one], drawn.targets[one]
    return random_paint(cutout, rng, real) if rng.random() < 0.5 else (cutout, target)


@dataclass(frozen=True)
class Ladder:
    """Cumulative chances and a binary search: drawing by weight from 30,000 rows thousands of times a minute.

    Parameters:
        rows: int64 [n], what is drawn.
        steps: float64 [n], cumulative chances; the last is 1.
    """

    rows: NDArray[np.int64]
    steps: NDArray[np.float64]

    @classmethod
    def balanced(cls, targets: NDArray[np.float32], balance: float, *, unlabelled: float = 0.0) -> Ladder:
        """Rows by their main colour.

        Parameters:
            targets: float32 [N, 18], rows of zeros where the colour is unknown.
            balance: see ``Mix``.
            unlabelled: the share of draws that rows without a colour get; 0 draws none of them.
        """
        main, known = targets.argmax(1), targets.any(1)
        count = np.bincount(main[known], minlength=targets.shape[1]).clip(1)
        chance = count[main] ** -balance * known
        chance = chance / max(chance.sum(), 1e-12)
        if unlabelled and not known.all():
            chance = np.where(known, (1 - unlabelled) * chance, unlabelled / (~known).sum())
        rows = np.nonzero(chance > 0)[0]
        steps = np.cumsum(chance[rows])
        return cls(rows, steps / steps[-1])

    def draw(self, rng: np.random.Generator) -> int:
        """One row."""
        return int(self.rows[min(int(np.searchsorted(self.steps, rng.random())), len(self.rows) - 1)])


@cache
def _ladder_of_things() -> Ladder:
    return Ladder.balanced(things.load().targets, 0.5)


@dataclass(frozen=True)
class _Alone:
    """People's own items out of their photos: cut-outs, their photos' rows, labels, and how they are drawn."""

    cutouts: Pixels
    rows: NDArray[np.int64]
    targets: NDArray[np.float32]
    ladder: Ladder

    @classmethod
    def of(cls, own: Own, labels: NDArray[np.float32], balance: float) -> _Alone | None:
        """None where nothing was cut out.

        Parameters:
            labels: of the photos, float32 [M, 18]; one that an item's pixels, out of the photo's light, would belie is
                not used, and such an item is painted like one without a label.
        """
        if not len(own.rows):
            return None
        mine = labels[own.rows]
        targets = np.asarray(mine * own.fits[np.arange(len(mine)), mine.argmax(1)][:, None], np.float32)
        return cls(own.cutouts, own.rows, targets, Ladder.balanced(targets, balance, unlabelled=UNLABELLED))


def batches(pictures: Pictures, workers: int) -> Iterator[Batch]:
    """Iterate forever, in ``workers`` processes (0: in this one)."""
    loader: DataLoader[Batch] = DataLoader(
        pictures, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None
    )
    return iter(loader)
