"""Photos that people labelled: what is read from a Parquet file for measuring, never for fitting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from worker.colours import Colour
from worker.images.decode import decode

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Photos:
    """A labelled set.

    Parameters:
        ids: one a photo.
        data: JPEG bytes.
        truth: the agreed colour, None where the annotators disagree.
        accepted: every colour that one of them gave, first or second.
        items, sources, sellers: what is shown, where the photo comes from, and whose it is ("" where unknown).
    """

    ids: list[str]
    data: list[bytes]
    truth: list[Colour | None]
    accepted: list[frozenset[Colour]]
    items: list[str]
    sources: list[str]
    sellers: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    def pixels(self, side: int) -> Pixels:
        """Decoded as the worker does: uint8 [n, side, side, 3]."""
        return np.stack([decode(data, side) for data in self.data])


def read(path: Path, limit: int | None = None) -> Photos:
    """Read a Parquet file with ``image`` (bytes, or a struct with ``bytes``) and ``colour``.

    Optional are ``id``, ``label_1``, ``label_2``, ``alt_1``, ``alt_2``, ``item`` or ``category``, ``source`` and
    ``seller``.

    Parameters:
        limit: at most so many photos, the first ones.

    Raises:
        ValueError: a colour is none of the 18.
    """
    photos = Photos([], [], [], [], [], [], [])
    for number, row in enumerate(pq.read_table(path).slice(0, limit).to_pylist()):
        photos.ids.append(str(row.get("id", number)))
        photos.data.append(row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"])
        truth = Colour(row["colour"]) if row.get("colour") else None
        photos.truth.append(truth)
        said = {row.get(name) for name in ("colour", "label_1", "label_2", "alt_1", "alt_2")}
        photos.accepted.append(frozenset(Colour(name) for name in said if name))
        photos.items.append(row.get("item") or row.get("category") or "")
        photos.sources.append(row.get("source") or "")
        photos.sellers.append(row.get("seller") or "")
    return photos
