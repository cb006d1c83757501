"""A store of a few drawn items, written as ``prepare`` writes it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from training.data.labels import LABELS
from training.data.store import CUTOUT_SIDE, STREET_SIDE


def tiny_store(folder: Path, each: int = 5) -> None:
    """Discs in four colours, ``each`` of each, and three plain street photos."""
    folder.mkdir(parents=True)
    disc = cv2.circle(np.zeros((CUTOUT_SIDE, CUTOUT_SIDE), np.uint8), (64, 64), 50, 255, -1)
    paints = {"red": (200, 20, 25), "black": (20, 20, 22), "green": (30, 120, 45), "white": (225, 225, 222)}
    cutouts, targets = [], []
    for colour, rgb in paints.items():
        for _ in range(each):
            cutouts.append(np.dstack([np.full((CUTOUT_SIDE, CUTOUT_SIDE, 3), rgb, np.uint8), disc]))
            targets.append(np.eye(len(LABELS), dtype=np.float32)[LABELS.index(colour)])
    np.save(folder / "cutouts.npy", np.stack(cutouts))
    np.save(folder / "targets.npy", np.stack(targets))
    np.save(folder / "lab.npy", np.zeros((len(cutouts), 6), np.float32))
    np.save(folder / "items.npy", np.zeros(len(cutouts), np.int64))
    np.save(folder / "street.npy", np.full((3, STREET_SIDE, STREET_SIDE, 3), 140, np.uint8))
    np.save(folder / "street_targets.npy", np.zeros((3, len(LABELS)), np.float32))
    np.save(folder / "street_aspect.npy", np.ones(3, np.float32))
    np.save(folder / "street_items.npy", np.zeros(3, np.int64))
    titles = [""] * len(cutouts)
    (folder / "rows.json").write_text(json.dumps({"titles": titles, "items": [], "skipped": []}))
