"""A share of the cut-outs, and the batches in so many passes over it: what ``--fraction`` and ``--epochs`` ask for."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import splits
from training.data.labels import LABELS


def drawn(targets: NDArray[np.float32], store: Path, fraction: float, seed: int) -> NDArray[np.float32]:
    """Targets of the cut-outs that are trained on, float32 [N, 18]: rows of zeros for those held out or left out.

    Parameters:
        targets: of all cut-outs, float32 [N, 18]; rows of zeros, whose colour nobody knows, count for no colour.
        store: the folder.
        fraction: of each colour's cut-outs, chosen by ``seed``.
    """
    free = ~splits.of_store(store).cutouts & targets.any(1)
    chance, main = np.random.default_rng(seed).random(len(targets)), targets.argmax(1)
    for colour in range(len(LABELS)):
        mine = np.nonzero(free & (main == colour))[0]
        free[mine[np.argsort(chance[mine])][ceil(fraction * len(mine)) :]] = False
    return targets * free[:, None]


def drawn_and_held(
    targets: NDArray[np.float32], store: Path, fraction: float, epochs: int, seed: int
) -> tuple[NDArray[np.float32], int]:
    """Targets with a share of the cut-outs as ``drawn`` has it, and those held out as they are: they calibrate.

    Returns:
        targets, float32 [N, 18], and the pictures in so many epochs over the share.
    """
    free = drawn(targets, store, fraction, seed)
    return np.where(splits.of_store(store).cutouts[:, None], targets, free), steps_for(free, epochs, 1)


def steps_for(targets: NDArray[np.float32], epochs: int, batch: int) -> int:
    """Batches in so many epochs over the rows that are not zeros."""
    return max(1, ceil(epochs * int((targets.sum(1) > 0).sum()) / batch))
