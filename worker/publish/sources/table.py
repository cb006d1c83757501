"""A CSV of listings: ``listing_id``, ``title``, ``description``, ``category`` and columns of photos, in any order."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from worker.errors import ConfigurationError
from worker.publish.draft import Draft, Row, Unusable
from worker.publish.sources.text import Lines

IDS = ("listing_id", "id", "item_id")
TITLES = ("title", "name")
DESCRIPTIONS = ("description", "text")
CATEGORIES = ("category",)
_PHOTOS = re.compile(r"(image|photo|picture|url)s?(_?(url|path|file)s?)?[_ ]?\d*")
_SEPARATOR = re.compile(r"\s*\|\s*|\s+(?=https?://)")
"""Several photos in one field: by ``|``, or addresses by spaces. A file's name may hold spaces."""


def header(path: Path, encoding: str) -> list[str]:
    """The names of the columns, in lower case.

    Raises:
        ConfigurationError: the file is empty.
    """
    lines = Lines(path, encoding)
    for fields in csv.reader(lines, dialect(path, encoding)):
        return [name.strip().lower() for name in fields]
    raise ConfigurationError(f"{path} is empty")


def dialect(path: Path, encoding: str) -> type[csv.Dialect]:
    """Comma, semicolon or tab: whichever the first line has most of."""
    first = next(iter(Lines(path, encoding)), "")

    class Found(csv.excel):
        delimiter = max(",;\t", key=first.count)

    return Found


def check(path: Path, columns: list[str]) -> None:
    """Make sure that rows can be listings.

    Raises:
        ConfigurationError: there is no column of ids, or none of photos.
    """
    if not set(columns) & set(IDS):
        raise ConfigurationError(f"{path} has no column {' or '.join(IDS)}; it has {', '.join(columns)}")
    if not photo_columns(columns):
        raise ConfigurationError(f"{path} has no column of photos, such as image, image_url or photo_1")


def photo_columns(columns: list[str]) -> list[str]:
    """The columns that name photos, in their order."""
    return [name for name in columns if _PHOTOS.fullmatch(name)]


def rows(lines: Lines) -> Iterator[Row]:
    """One row a listing; photos are addresses or paths relative to the file's folder."""
    reader = csv.reader(lines, dialect(lines.path, lines.encoding))
    columns = [name.strip().lower() for name in next(reader)]
    pictured = photo_columns(columns)
    for fields in reader:
        where = f"line {reader.line_num}"
        if not any(fields):
            continue
        if len(fields) != len(columns):
            yield Unusable(where, f"{len(fields)} fields, but the header has {len(columns)}")
            continue
        if wrong := lines.undecodable(*fields):
            yield Unusable(where, wrong)
            continue
        named = dict(zip(columns, fields, strict=True))
        listing_id = first(named, IDS)
        if not listing_id:
            yield Unusable(where, f"the row has no {' or '.join(name for name in IDS if name in named)}")
            continue
        yield Draft(
            where=where,
            listing_id=listing_id,
            title=first(named, TITLES),
            description=first(named, DESCRIPTIONS),
            category=first(named, CATEGORIES),
            photos=tuple(photo for name in pictured for photo in _SEPARATOR.split(named[name].strip()) if photo),
        )


def first(named: dict[str, str], names: tuple[str, ...]) -> str:
    """The value of the first of these columns that is there."""
    return next((named[name].strip() for name in names if name in named), "")
