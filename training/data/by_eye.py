"""Labels given to photos by looking at them, by people or by a model; several may have looked at one photo."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.labels import INDEX, LABELS

SECOND = 0.3
"""Share of the second colour, where a buyer could equally say it; a choice, not a measurement."""


def agreement(path: Path) -> tuple[int, float]:
    """How many photos of a list have several readings, and for which share of them all name the same first colour."""
    first: dict[str, list[str]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as lines:
        for entry in csv.DictReader(lines):
            first[entry["id"]].append(entry["colour"])
    several = [said for said in first.values() if len(said) > 1]
    return len(several), sum(len(set(said)) == 1 for said in several) / max(len(several), 1)


def read(path: Path, identifiers: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Label distributions of the photos that are in the list: the mean of all readings of a photo.

    Parameters:
        path: CSV with the columns ``id``, ``colour`` and ``alt``, one line a reading. A colour ``skip`` says that the
            photo shows no single item, or none whose colour can be told; an empty ``alt``, that no second one would do.
        identifiers: of the M photos.

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
            colour, other = entry["colour"], entry["alt"]
            unknown = {colour, other} - {*LABELS, "skip", ""}
            if unknown or not colour:
                raise ValueError(f"{path}: {entry['id']}: no colours of ours: {', '.join(sorted(unknown)) or 'none'}")
            row = row_of.get(entry["id"])
            if row is None:
                continue
            listed[row] = True
            if colour == "skip":
                continue
            share = SECOND if other not in ("", "skip", colour) else 0.0
            target[row, INDEX[colour]] += 1 - share
            if share:
                target[row, INDEX[other]] += share
    return target / np.maximum(target.sum(1, keepdims=True), 1), listed
