"""What ``prepare`` reads and writes goes over the disk: a large source need not fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from training.data.cutouts import Pixels
from training.data.sources import Row


def shuffled(rows: Iterable[Row], folder: Path) -> Iterator[Row]:
    """The rows in an order that is always the same for as many rows.

    Parameters:
        folder: where their photos lie meanwhile, in a file that has no name.
    """
    told: list[tuple[Row, int, int]] = []
    with TemporaryFile(dir=folder) as photos:
        for row in rows:
            told.append((replace(row, image=b""), photos.tell(), len(row.image)))
            photos.write(row.image)
        for number in np.random.default_rng(0).permutation(len(told)):
            row, start, size = told[number]
            photos.seek(start)
            yield replace(row, image=photos.read(size))


class Growing:
    """A uint8 array in a file, to which rows are appended; it is there, whole, after ``save``.

    Parameters:
        path: of the ``.npy`` file.
        shape: of one row.
    """

    def __init__(self, path: Path, *shape: int) -> None:
        self._path, self._shape, self._count = path, shape, 0
        self._rows = TemporaryFile(dir=path.parent)  # noqa: SIM115 - closed by ``save``, or with the object

    def append(self, row: Pixels) -> None:
        if row.shape != self._shape:
            raise ValueError(f"a row of {self._path.name} has the shape {self._shape}, not {row.shape}")
        self._rows.write(row.tobytes())
        self._count += 1

    def save(self) -> None:
        """Write the file."""
        shape = (self._count, *self._shape)
        with self._rows:
            self._rows.flush()
            # An empty file cannot be mapped.
            rows = np.memmap(self._rows, np.uint8, "r", shape=shape) if self._count else np.zeros(shape, np.uint8)
            np.save(self._path, rows)
