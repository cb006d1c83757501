"""Which rows are held out: whole groups of one seller and of near-duplicates, so that no split cuts through an item.

Near-duplicates share 61 of 64 bits of a difference hash (8x8, of the item alone) and nearly the same mean colour: one
photo in two sizes, or one product under two numbers. The mean colour matters, since a T-shirt's outline is like any
other T-shirt's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.data import store as stores
from training.data.cutouts import Pixels

SHARE = 0.05
"""Of the cut-outs and of the street photos that no stage is fitted on; the head is calibrated on them."""

BITS = 3
"""Near-duplicates differ in at most this many bits. One of four bands of 16 bits is then equal (pigeonhole)."""

STEP = 4
"""Grey levels that count as a difference: less is JPEG's noise on a plain surface."""

NEAR = 6
"""Largest difference of a near-duplicate's mean colour, in levels of each channel."""

_POPULATION = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)


@dataclass(frozen=True)
class Marks:
    """What near-duplicates are told by.

    Parameters:
        hashes: uint16 [N, 4], the bits of the difference hash.
        colours: float32 [N, 3], mean colour of the item, 0..255.
    """

    hashes: NDArray[np.uint16]
    colours: NDArray[np.float32]


@dataclass(frozen=True)
class Held:
    """Rows of a store that are held out: bool [N] of the cut-outs, bool [M] of the street photos."""

    cutouts: NDArray[np.bool_]
    street: NDArray[np.bool_]


def of_store(folder: Path, seed: int = 0) -> Held:
    """The split of a store, made once and kept beside it in ``held.npz``."""
    path = folder / "held.npz"
    if not path.is_file():
        store = stores.load(folder)
        kept = {
            name: held_out(grouped(sellers, marks(pictures)), SHARE, seed)
            for name, pictures, sellers in (
                ("cutouts", store.cutouts, store.sellers),
                ("street", store.street, store.street_sellers),
            )
        }
        np.savez(path, **kept)  # type: ignore[arg-type]
    with np.load(path) as found:
        return Held(found["cutouts"], found["street"])


def marks(pictures: Pixels) -> Marks:
    """Difference hashes and mean colours of uint8 [N, S, S, 4] (item on transparency) or [N, S, S, 3]."""
    hashes = np.empty((len(pictures), 4), np.uint16)
    colours = np.empty((len(pictures), 3), np.float32)
    for row, stored in enumerate(pictures):
        picture = np.asarray(cv2.resize(np.asarray(stored), (32, 32), interpolation=cv2.INTER_AREA), np.uint8)
        alpha = picture[..., 3:].astype(np.float32) / 255 if picture.shape[2] == 4 else np.ones((1, 1, 1), np.float32)
        flat = picture[..., :3] * alpha + 255 * (1 - alpha)
        grey = cv2.resize(flat.astype(np.float32), (9, 8), interpolation=cv2.INTER_AREA).mean(axis=2)
        bits = np.packbits(grey[:, 1:] > grey[:, :-1] + STEP)
        hashes[row] = bits.view(np.uint16)
        weight = np.asarray(np.broadcast_to(alpha, (*picture.shape[:2], 1)), np.float32)
        colours[row] = (picture[..., :3].astype(np.float32) * weight).sum((0, 1)) / max(float(weight.sum()), 1)
    return Marks(hashes, colours)


def grouped(sellers: Sequence[str], found: Marks) -> NDArray[np.int64]:
    """A group's number for every row, int64 [N]; rows of one seller or near-duplicates share it, across any chain.

    Parameters:
        sellers: "" where unknown: such a row is only grouped with its near-duplicates.
        found: of the same rows.
    """
    count = len(sellers)
    pairs = [_chain(np.array(sellers, dtype=object), np.array([seller != "" for seller in sellers], np.bool_))]
    cell = (found.colours // (2 * NEAR)).astype(np.int64)
    for band in range(4):
        key = ((found.hashes[:, band].astype(np.int64) * 32 + cell[:, 0]) * 32 + cell[:, 1]) * 32 + cell[:, 2]
        order = np.argsort(key, kind="stable")
        buckets = np.split(order, np.nonzero(np.diff(key[order]))[0] + 1)
        pairs.extend(_close(bucket, found) for bucket in buckets if len(bucket) > 1)
    joined = np.concatenate(pairs)
    graph = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def held_out(groups: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Whole groups, in a random order, until ``share`` of the rows are held out: bool [N].

    A group that is larger than what is still wanted stays in training, so the share is never exceeded.
    """
    wanted, held = int(share * len(groups)), []
    size = np.bincount(groups) if len(groups) else np.zeros(0, np.int64)
    for group in np.random.default_rng(seed).permutation(len(size)):
        if size[group] <= wanted:
            held.append(group)
            wanted -= int(size[group])
        if wanted <= 0:
            break
    return np.isin(groups, held)


def _chain(keys: NDArray[np.object_], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pairs [P, 2] that link the rows of one key, each to the next."""
    rows = np.nonzero(known)[0]
    order = rows[np.argsort(keys[rows].astype(str), kind="stable")]
    same = keys[order[1:]] == keys[order[:-1]] if len(order) > 1 else np.zeros(0, np.bool_)
    return np.stack([order[:-1][same], order[1:][same]], axis=1) if len(order) > 1 else np.zeros((0, 2), np.int64)


def _close(bucket: NDArray[np.intp], found: Marks) -> NDArray[np.int64]:
    """Pairs [P, 2] of near-duplicates within a bucket."""
    pairs = []
    for at, row in enumerate(bucket[:-1]):
        rest = bucket[at + 1 :]
        bits = _POPULATION[found.hashes[rest] ^ found.hashes[row]].sum(axis=1, dtype=np.int64)
        near = np.abs(found.colours[rest] - found.colours[row]).max(axis=1) <= NEAR
        hits = rest[(bits <= BITS) & near]
        pairs.append(np.stack([np.full(len(hits), row), hits], axis=1))
    return np.concatenate(pairs).astype(np.int64)
