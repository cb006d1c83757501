"""People's own photos taken apart: where the item is, and the item alone, found by a tower taught on cut-outs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.cutouts import Pixels, lab_statistics, squared
from training.data.labels import LABELS
from training.data.store import CUTOUT_SIDE

_AGREED = 0.85
_SMALLEST, _LARGEST, _AT_BORDER = 0.06, 0.8, 0.4
# A part of an item that is smaller than this share of it is a speck.
_PART = 0.05
# CIELAB within which a name may stand without its photo's light: a white shirt in lamp light, alone, is a beige one.
_DARKEST = {"white": 66.0, "grey": 28.0, "silver": 30.0, "beige": 50.0, "yellow": 45.0, "lightblue": 48.0, "pink": 38.0}
_LIGHTEST = {"black": 42.0, "grey": 82.0, "burgundy": 45.0}
_NEUTRAL = {"white": 12.0, "grey": 14.0, "black": 16.0, "silver": 14.0}
_COLOURED = {"red", "orange", "yellow", "green", "turquoise", "purple", "pink", "lightblue"}
_HUELESS = 6.0


@dataclass(frozen=True)
class Own:
    """What is known of M street photos.

    Parameters:
        masks: uint8 [M, T, T] of 0 and 255 in the store's shape (without the photo's aspect); zeros where unsure.
        cutouts: uint8 [K, 128, 128, 4], the items whose outline is sure, on transparency.
        rows: int64 [K], the photo of each.
        fits: bool [K, 18], whether the pixels alone, out of their photo's light, could be called so.
    """

    masks: Pixels
    cutouts: Pixels
    rows: NDArray[np.int64]
    fits: NDArray[np.bool_]

    def without(self, held: NDArray[np.bool_]) -> Own:
        """The same, but for the photos held out, bool [M]."""
        free = ~held[self.rows]
        masks = self.masks * ~held[:, None, None]
        return replace(self, masks=masks, cutouts=self.cutouts[free], rows=self.rows[free], fits=self.fits[free])


def save(own: Own, folder: Path) -> None:
    """Write ``own.npz``."""
    np.savez(folder / "own.npz", masks=own.masks, cutouts=own.cutouts, rows=own.rows, fits=own.fits)


def load(folder: Path) -> Own:
    """Read what ``save`` wrote.

    Raises:
        FileNotFoundError: ``colour-train label`` has not been run.
    """
    with np.load(folder / "own.npz") as found:
        return Own(found["masks"], found["cutouts"], found["rows"], found["fits"])


def refined(photo: Pixels, likely: NDArray[np.float32]) -> Pixels | None:
    """The item's outline: a coarse map's, moved to the photo's own edges by GrabCut.

    Parameters:
        photo: uint8 [H, W, 3].
        likely: the probability that a pixel is the item's, float32 [H, W].

    Returns:
        uint8 [H, W] of 0 and 255; None where the two do not agree or no item could look so.
    """
    wanted = likely > 0.5
    levels = np.digitize(likely, (0.1, 0.5, 0.9))
    guess = np.array([cv2.GC_BGD, cv2.GC_PR_BGD, cv2.GC_PR_FGD, cv2.GC_FGD], np.uint8)[levels]
    share = float(wanted.mean())
    if not _SMALLEST < share < _LARGEST or not (levels == 0).any() or not (levels == 3).any():
        return None
    cv2.setRNGSeed(0)
    no_rectangle, back, front = (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(photo[:, :, ::-1]), guess, no_rectangle, back, front, 3, cv2.GC_INIT_WITH_MASK)
    found = np.isin(guess, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    count, parts, sizes, _ = cv2.connectedComponentsWithStats(found)
    large = [part for part in range(1, count) if sizes[part, cv2.CC_STAT_AREA] >= _PART * found.sum()]
    mask = np.isin(parts, large)
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    agreed = (mask & wanted).sum() / max((mask | wanted).sum(), 1)
    if agreed < _AGREED or border.mean() > _AT_BORDER:
        return None
    return np.asarray(mask * 255, np.uint8)


def taken_apart(photos: Pixels, aspects: NDArray[np.float32], likely: NDArray[np.float32]) -> Own:
    """Masks and cut-outs of street photos.

    Parameters:
        photos: uint8 [M, T, T, 3], stored without their aspect.
        aspects: width / height, float32 [M].
        likely: as in ``refined``, of the photos as stored, float32 [M, T, T].
    """
    size = photos.shape[1]
    masks, cutouts, rows = np.zeros(photos.shape[:3], np.uint8), [], []
    with ThreadPoolExecutor() as threads:
        outlines = list(threads.map(refined, photos, likely))
    for row, mask in enumerate(outlines):
        if mask is None:
            continue
        photo, masks[row] = np.asarray(photos[row]), mask
        shape = (round(size * min(float(aspects[row]), 1)), round(size * min(1 / float(aspects[row]), 1)))
        upright = np.asarray(cv2.resize(photo, shape, interpolation=cv2.INTER_AREA), np.uint8)
        outline = np.where(cv2.resize(mask, shape, interpolation=cv2.INTER_AREA) > 127, 255, 0).astype(np.uint8)
        cutouts.append(squared(upright, outline, CUTOUT_SIDE))
        rows.append(row)
    fits = np.array([_fits(lab_statistics(cutout)) for cutout in cutouts]).reshape(-1, len(LABELS))
    alone = np.stack(cutouts) if cutouts else np.zeros((0, CUTOUT_SIDE, CUTOUT_SIDE, 4), np.uint8)
    return Own(masks, alone, np.array(rows, np.int64), fits)


def _fits(lab: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which colours an item of this CIELAB could be called on a ground of its own, bool [18]."""
    lightness, chroma = float(lab[0]), float(np.hypot(lab[1], lab[2]))
    return np.array(
        [
            _DARKEST.get(name, 0.0) <= lightness <= _LIGHTEST.get(name, 100.0)
            and chroma <= _NEUTRAL.get(name, 200.0)
            and (name not in _COLOURED or chroma >= _HUELESS)
            for name in LABELS
        ]
    )
