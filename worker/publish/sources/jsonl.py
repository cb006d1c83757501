"""JSON lines: events as they are, or looser objects whose missing fields are filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from worker.errors import Rejected
from worker.events import ListingCreated
from worker.publish.draft import Draft, Event, Row, Unusable
from worker.publish.sources.table import CATEGORIES, DESCRIPTIONS, IDS, TITLES
from worker.publish.sources.text import Lines

_PHOTOS = ("images", "photos", "image_urls", "urls", "image", "photo", "image_url", "url")


def rows(lines: Lines) -> Iterator[Row]:
    """One row a line; empty lines are skipped."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _row(f"line {number}", line, lines)


def _row(where: str, line: str, lines: Lines) -> Row:
    if wrong := lines.undecodable(line):
        return Unusable(where, wrong)
    try:
        record = json.loads(line)
    except ValueError as error:
        return Unusable(where, f"not JSON: {error}")
    if not isinstance(record, dict):
        return Unusable(where, f"a JSON {type(record).__name__}, not an object")
    if "schema" in record:
        try:
            return Event(where, ListingCreated.parse(line.encode()))
        except Rejected as error:
            return Unusable(where, error.message)
    try:
        return _draft(where, record)
    except (ValueError, TypeError, ValidationError) as error:
        return Unusable(where, str(error))


def _draft(where: str, record: Mapping[str, Any]) -> Draft:
    listing_id = _text(record, IDS)
    if not listing_id:
        raise ValueError(f"the object has no {' or '.join(IDS)}")
    occurred_at = record.get("occurred_at")
    return Draft(
        where=where,
        listing_id=listing_id,
        title=_text(record, TITLES),
        description=_text(record, DESCRIPTIONS),
        category=_text(record, CATEGORIES),
        photos=tuple(_photos(record)),
        occurred_at=None if occurred_at is None else _moment(occurred_at),
    )


def _text(record: Mapping[str, Any], names: tuple[str, ...]) -> str:
    value: object = next((record[name] for name in names if record.get(name) is not None), "")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{names[0]} is a JSON {type(value).__name__}, not a text")
    return str(value)


def _photos(record: Mapping[str, Any]) -> Iterator[str]:
    value: object = next((record[name] for name in _PHOTOS if record.get(name)), [])
    for entry in value if isinstance(value, list) else [value]:
        reference = entry.get("url") or entry.get("path") if isinstance(entry, dict) else entry
        if not isinstance(reference, str) or not reference:
            raise TypeError("a photo is neither a text nor an object with 'url' or 'path'")
        yield reference


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise TypeError("occurred_at is not a text; write for example 2026-01-31T12:00:00Z")
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"occurred_at {value} has no time zone; write for example 2026-01-31T12:00:00Z")
    return moment
