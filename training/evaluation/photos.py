"""Labelled photos: what is read from a Parquet file for measuring, never for fitting."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from training.data.sources import Skipped
from worker.colours import Colour
from worker.errors import Rejected
from worker.images.decode import decode

Pixels = npt.NDArray[np.uint8]

_LEAST = 32
"""Pixels: a photo that cannot be decoded at this side cannot be at any."""


@dataclass(frozen=True)
class Photos:
    """A labelled set.

    Parameters:
        ids: one a photo.
        data: JPEG bytes.
        truth: the agreed colour, None where the annotators disagree.
        accepted: every colour that one of them gave, first or second.
        items, sources, sellers: what is shown, where the photo comes from, and whose it is ("" where unknown).
        skipped: rows that cannot be used, and why.
    """

    ids: list[str]
    data: list[bytes]
    truth: list[Colour | None]
    accepted: list[frozenset[Colour]]
    items: list[str]
    sources: list[str]
    sellers: list[str]
    skipped: Skipped = field(default_factory=Skipped)

    def __len__(self) -> int:
        return len(self.ids)

    def pixels(self, side: int) -> Pixels:
        """Decoded as the worker does: uint8 [n, side, side, 3]."""
        return np.stack([decode(data, side) for data in self.data])


def read(path: Path, limit: int | None = None) -> Photos:
    """Read a Parquet file with ``image`` (bytes, or a struct with ``bytes``) and ``colour``.

    Optional are ``id``, ``label_1``, ``label_2``, ``alt_1``, ``alt_2``, ``item`` or ``category``, ``source`` and
    ``seller``. A row without a photo that the worker would take, without any label, or with one that is no colour of
    ours is skipped, and counted.

    Parameters:
        limit: at most so many rows, the first ones.

    Raises:
        ValueError: not one row can be used.
    """
    photos = Photos([], [], [], [], [], [], [])
    for number, row in enumerate(pq.read_table(path).slice(0, limit).to_pylist()):
        identifier = str(row.get("id", number))
        data = row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
        said = {row.get(name) for name in ("colour", "label_1", "label_2", "alt_1", "alt_2")} - {None, ""}
        try:
            accepted = frozenset(Colour(name) for name in said)
            decode(data or b"", _LEAST)
        except (ValueError, Rejected) as error:
            photos.skipped.add(identifier, str(error))
            continue
        if not accepted:
            photos.skipped.add(identifier, "no label")
            continue
        photos.ids.append(identifier)
        photos.data.append(data)
        photos.truth.append(Colour(row["colour"]) if row.get("colour") else None)
        photos.accepted.append(accepted)
        photos.items.append(row.get("item") or row.get("category") or "")
        photos.sources.append(row.get("source") or "")
        photos.sellers.append(row.get("seller") or "")
    if not len(photos):
        raise ValueError(f"{path}: none of its {len(photos.skipped.rows)} rows can be used: {photos.skipped.rows[:3]}")
    return photos
