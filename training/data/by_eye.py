"""Labels that somebody gave to people's own photos by looking at them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.labels import INDEX, LABELS

SECOND = 0.3
"""Share of the second colour, where a buyer could equally say it; a choice, not a measurement."""


def read(path: Path, identifiers: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Label distributions of the photos that are in the list.

    Parameters:
        path: CSV with the columns ``id``, ``colour`` and ``alt``. A colour ``skip`` says that the photo shows no single
            item, or none whose colour can be told; an empty ``alt`` that no second colour would do.
        identifiers: of the M street photos.

    Returns:
        float32 [M, 18], rows of zeros where nothing is known, and bool [M]: whether the photo is in the list.

    Raises:
        ValueError: a colour that is none of ours.
        OSError: the file cannot be read.
    """
    row_of = {identifier: row for row, identifier in enumerate(identifiers)}
    target = np.zeros((len(identifiers), len(LABELS)), np.float32)
    listed = np.zeros(len(identifiers), bool)
    with path.open(encoding="utf-8", newline="") as lines:
        for entry in csv.DictReader(lines):
            row = row_of.get(entry["id"])
            unknown = {entry["colour"], entry["alt"]} - {*LABELS, "skip", ""}
            if unknown:
                raise ValueError(f"{path}: {entry['id']}: no colours of ours: {', '.join(sorted(unknown))}")
            if row is None:
                continue
            listed[row] = True
            if entry["colour"] == "skip":
                continue
            target[row, INDEX[entry["colour"]]] = 1
            if entry["alt"] not in ("", "skip", entry["colour"]):
                target[row, INDEX[entry["colour"]]] = 1 - SECOND
                target[row, INDEX[entry["alt"]]] = SECOND
    return target, listed
