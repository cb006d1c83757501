"""Rows of photos from the layouts that people have: Parquet, Avito's CSV with a folder, a folder a colour, WebDataset.

Every reader yields ``Row`` objects; a row that cannot be read is counted in ``Skipped`` and never fatal.
"""

from __future__ import annotations

import csv
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from webdataset import tariterators

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


def read_parquet(path: Path, skipped: Skipped) -> Iterator[Row]:
    """Rows of a Parquet file with an ``image`` column: bytes, or ``{"bytes", "path"}`` as ``datasets`` writes it.

    Other columns are optional: ``id``, ``colour``, ``raw_colour``, ``category`` or ``item``, ``title``, ``seller``.
    """
    number = 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=256):
        for record in batch.to_pylist():
            identifier = str(record.get("id") if record.get("id") is not None else f"{path.name}:{number}")
            number += 1
            image = record.get("image")
            image = image.get("bytes") if isinstance(image, dict) else image
            if not isinstance(image, bytes) or not image:
                skipped.add(identifier, "no image")
            else:
                yield _row(identifier, image, record)


def read_webdataset(shards: list[Path], skipped: Skipped) -> Iterator[Row]:
    """Tar shards of ``<key>.jpg`` (or .png, .webp) beside ``<key>.json``, or ``<key>.txt`` with nothing but the colour.

    The JSON has the names of the Parquet columns. Shards are read one after another, in the order of their names; one
    that breaks off is read as far as it goes.
    """
    for sample in _samples(shards, skipped):
        key = sample["__key__"]
        image = next((sample[suffix[1:]] for suffix in sorted(PHOTO_SUFFIXES) if suffix[1:] in sample), None)
        if image is None:
            skipped.add(key, "no image")
            continue
        try:
            record = json.loads(sample["json"]) if "json" in sample else {"colour": sample.get("txt", b"").decode()}
        except ValueError as error:
            skipped.add(key, f"cannot be read: {error}")
            continue
        if not isinstance(record, dict):
            skipped.add(key, "its JSON is no object")
        else:
            yield _row(str(record.get("id") or key), image, record)


def read_avito(folder: Path, skipped: Skipped) -> Iterator[Row]:
    """``train_data.csv`` (id, category, target) beside ``<id>.jpg``, or in a folder ``images``.

    Raises:
        ValueError: the file has no columns ``id`` and ``target``.
    """
    with (folder / "train_data.csv").open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not {"id", "target"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{folder / 'train_data.csv'}: has the columns {reader.fieldnames}, needs id and target")
        for record in reader:
            identifier, code = record["id"] or f"line {reader.line_num}", (record["target"] or "").strip()
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


def read_folder(folder: Path, skipped: Skipped, *, labelled: bool = True) -> Iterator[Row]:
    """``<colour>/<anything>.jpg``, where ``<colour>`` is a slug of ours or Avito's code.

    Parameters:
        labelled: without, photos lie anywhere below the folder, and need no colour.
    """
    for photo in sorted(p for p in folder.glob("*/*" if labelled else "**/*") if p.suffix.lower() in PHOTO_SUFFIXES):
        name, identifier = photo.parent.name, str(photo.relative_to(folder))
        colour = BY_AVITO_CODE.get(name) or (Colour(name) if name in set(Colour) else None)
        if colour is not None:
            yield Row(identifier, photo.read_bytes(), colour.value, name)
        elif labelled:
            skipped.add(identifier, f"folder {name!r} is no colour")
        else:
            yield Row(identifier, photo.read_bytes())


def read(path: Path, skipped: Skipped, *, labelled: bool = True) -> Iterator[Row]:
    """Choose the reader by what lies at ``path``.

    Parameters:
        labelled: whether a folder of photos must tell their colours.

    Raises:
        FileNotFoundError: nothing of a known layout is there.
    """
    if path.is_file() and path.suffix == ".parquet":
        return read_parquet(path, skipped)
    if path.is_file() and path.suffix == ".tar":
        return read_webdataset([path], skipped)
    if (path / "train_data.csv").is_file():
        return read_avito(path, skipped)
    if shards := sorted(path.glob("*.tar")):
        return read_webdataset(shards, skipped)
    if tables := sorted(path.glob("*.parquet")):
        return (row for table in tables for row in read_parquet(table, skipped))
    if path.is_dir():
        return read_folder(path, skipped, labelled=labelled)
    raise FileNotFoundError(
        f"{path}: expected a .parquet or .tar file, a folder of them, one with train_data.csv, or a folder a colour"
    )


def _samples(shards: list[Path], skipped: Skipped) -> Iterator[dict[str, Any]]:
    for path in shards:

        def listed(error: Exception, name: str = path.name) -> bool:
            """Whether to go on: behind a shard that breaks off, and behind a name that occurs twice."""
            if not isinstance(error, tarfile.TarError | ValueError):
                return False
            if name not in dict(skipped.rows):  # webdataset tells of one break at two places
                skipped.add(name, str(error.args[0]))
            return True

        # Opened and closed here: webdataset's own pipeline leaves that to the garbage collector.
        with path.open("rb") as stream:
            files = tariterators.tar_file_expander([{"url": str(path), "stream": stream}], handler=listed)
            yield from tariterators.group_by_keys(files, handler=listed)


def _row(identifier: str, image: bytes, record: dict[str, Any]) -> Row:
    """A row from the names that Parquet and WebDataset share; Avito's codes are understood as colours too."""
    said = str(record.get("colour") or record.get("target") or "").strip()
    avito = BY_AVITO_CODE.get(said)
    return Row(
        id=identifier,
        image=image,
        colour=(avito.value if avito else said) or None,
        raw_colour=str(record.get("raw_colour") or said),
        category=str(record.get("category") or record.get("item") or ""),
        title=str(record.get("title") or ""),
        group=str(record.get("seller") or ""),
    )
