"""Avito's own training data: ``train_data.csv`` with ``id, category, target``, and a folder of ``<id>.jpg``.

``target`` is the colour that somebody gave the listing; it is the answer, so it does not travel with the question.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from worker.publish.draft import Draft, Row, Unusable
from worker.publish.sources.text import Lines

COLUMNS = ("id", "category", "target")


def fits(header: Sequence[str]) -> bool:
    """Whether a CSV with these columns is Avito's; a column without a name is pandas' index."""
    return {name for name in header if name} == set(COLUMNS)


def photo_folder(path: Path) -> Path:
    """The folder of ``<id>.jpg``: beside the file and named like it, or the one folder beside it that holds JPEGs."""
    candidates = [path.with_suffix(""), *sorted(entry for entry in path.parent.iterdir() if entry.is_dir())]
    return next((folder for folder in candidates if folder.is_dir() and any(folder.glob("*.jpg"))), path.parent)


def rows(lines: Lines, header: Sequence[str]) -> Iterator[Row]:
    """One row a listing, with its one photo. It has no title: only the photo and the category are known."""
    reader = csv.reader(lines)
    next(reader)
    for fields in reader:
        where = f"line {reader.line_num}"
        if not fields:
            continue
        if len(fields) != len(header):
            yield Unusable(where, f"{len(fields)} fields, but the header has {len(header)}")
            continue
        named = dict(zip(header, fields, strict=True))
        if wrong := lines.undecodable(*fields):
            yield Unusable(where, wrong)
        elif not named["id"].strip():
            yield Unusable(where, "the row has no id")
        else:
            identifier = named["id"].strip()
            yield Draft(where=where, listing_id=identifier, category=named["category"], photos=(f"{identifier}.jpg",))
