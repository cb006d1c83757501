"""Where listings come from: one file each, all giving the same rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.errors import ConfigurationError
from worker.publish.draft import Row
from worker.publish.sources import avito, folder, jsonl, table
from worker.publish.sources.text import Lines


@dataclass(frozen=True, slots=True)
class Source:
    """An opened source.

    Parameters:
        kind: what it was taken for, in words.
        folder: what its relative photo paths are relative to.
        total: its size: bytes of a file, number of files of a folder.
        rows: each with how much of ``total`` was read when it was complete.
    """

    kind: str
    folder: Path
    total: int
    rows: Iterator[tuple[int, Row]]


def open_source(path: Path, *, photos: Path | None = None, encoding: str = "utf-8-sig") -> Source:
    """Find out what ``path`` is and open it.

    Parameters:
        path: a CSV, JSONL or folder.
        photos: the folder of the photos, if it is not beside the file.
        encoding: of a CSV or JSONL.

    Raises:
        ConfigurationError: it is none of these, or lacks the columns that make a listing.
    """
    if path.is_dir():
        files = folder.find(path)
        return Source("a folder of photos", path, len(files), enumerate_files(path, files))
    if not path.is_file():
        raise ConfigurationError(f"{path} is neither a file nor a folder")
    lines = Lines(path, encoding)
    suffix = path.suffix.lower()
    if suffix in {".jsonl", ".ndjson", ".json"}:
        return Source("JSON lines", photos or path.parent, lines.size, lines.with_position(jsonl.rows(lines)))
    if suffix not in {".csv", ".tsv"}:
        raise ConfigurationError(f"{path}: give a .csv, .tsv, .jsonl or a folder of photos")
    header = table.header(path, encoding)
    if avito.fits(header):
        where = photos or avito.photo_folder(path)
        return Source("Avito's training data", where, lines.size, lines.with_position(avito.rows(lines, header)))
    table.check(path, header)
    return Source("a table of listings", photos or path.parent, lines.size, lines.with_position(table.rows(lines)))


def enumerate_files(root: Path, files: list[Path]) -> Iterator[tuple[int, Row]]:
    """The rows of a folder, each counting for one."""
    return zip(itertools.count(1), folder.rows(root, files), strict=False)
