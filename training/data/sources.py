"""Rows of photos from the layouts that people have: Parquet, Avito's CSV with a folder, a folder a colour.

Every reader yields ``Row`` objects; a row that cannot be read is counted in ``Skipped`` and never fatal.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from worker.colours import BY_AVITO_CODE, Colour

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True, slots=True)
class Row:
    """One photo before decoding.

    Parameters:
        id: unique within its source.
        image: the file's bytes.
        colour: a slug of ours, ``blue_or_lightblue``, or None where the source has no honest label.
        raw_colour: the colour as the source named it.
        category: the source's word for the item, or "".
        title: the listing's title, or "".
        group: seller or another key that a split must not cut through, or "".
    """

    id: str
    image: bytes
    colour: str | None = None
    raw_colour: str = ""
    category: str = ""
    title: str = ""
    group: str = ""


@dataclass(slots=True)
class Skipped:
    """Bad rows, by identifier, with the reason."""

    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, identifier: str, reason: str) -> None:
        self.rows.append((identifier, reason))


def read_parquet(path: Path) -> Iterator[Row]:
    """Rows of a Parquet file with an ``image`` column of bytes; other columns are optional."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=256):
        for record in batch.to_pylist():
            yield Row(
                id=str(record["id"]),
                image=record["image"],
                colour=record.get("colour"),
                raw_colour=record.get("raw_colour") or "",
                category=record.get("category") or record.get("item") or "",
                title=record.get("title") or "",
                group=str(record.get("seller") or ""),
            )


def read_avito(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """``train_data.csv`` (id, category, target) beside ``<id>.jpg``, or in a folder ``images``."""
    with (folder / "train_data.csv").open(encoding="utf-8", newline="") as file:
        for record in csv.DictReader(file):
            identifier, code = record["id"], record["target"].strip()
            colour = BY_AVITO_CODE.get(code)
            photo = next(
                (p for p in (folder / f"{identifier}.jpg", folder / "images" / f"{identifier}.jpg") if p.is_file()),
                None,
            )
            if colour is None:
                skipped.add(identifier, f"unknown colour code {code!r}")
            elif photo is None:
                skipped.add(identifier, f"no file {identifier}.jpg")
            else:
                yield Row(identifier, photo.read_bytes(), colour.value, code, record.get("category") or "")


def read_folder(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """``<colour>/<anything>.jpg``, where ``<colour>`` is a slug of ours or Avito's code."""
    for photo in sorted(p for p in folder.glob("*/*") if p.suffix.lower() in PHOTO_SUFFIXES):
        name = photo.parent.name
        colour = BY_AVITO_CODE.get(name) or (Colour(name) if name in set(Colour) else None)
        if colour is None:
            skipped.add(str(photo.relative_to(folder)), f"folder {name!r} is no colour")
        else:
            yield Row(str(photo.relative_to(folder)), photo.read_bytes(), colour.value, name)


def read(path: Path, skipped: Skipped) -> Iterator[Row]:
    """Choose the reader by what lies at ``path``.

    Raises:
        FileNotFoundError: nothing of a known layout is there.
    """
    if path.is_file() and path.suffix == ".parquet":
        return read_parquet(path)
    if (path / "train_data.csv").is_file():
        return read_avito(path, skipped)
    if path.is_dir():
        return read_folder(path, skipped)
    raise FileNotFoundError(f"{path}: expected a .parquet file, a folder with train_data.csv, or a folder a colour")
