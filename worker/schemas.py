"""JSON Schemas and an AsyncAPI document, made from the models in ``worker.events``, for the other teams' tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import worker
from worker.errors import Reason
from worker.events import ListingColoured, ListingCreated
from worker.settings import TopicSettings

FOLDER = Path(__file__).parents[1] / "deploy" / "schemas"

_DEAD_LETTER_HEADERS = {
    "colour-reason": "why: one of " + ", ".join(reason.value for reason in Reason),
    "colour-message": "one sentence for a person",
    "colour-attempts": "how often the event was tried, as a decimal number",
    "colour-first-failure": "when it first failed, RFC 3339",
    "colour-source-topic": "where the event first appeared",
    "colour-source-partition": "its partition, as a decimal number",
    "colour-source-offset": "its offset, as a decimal number",
    "colour-source-timestamp": "its Kafka timestamp, RFC 3339",
    "colour-worker-version": "the worker that gave it up",
    "colour-value-omitted-bytes": "only on originals too large to be copied: their size; they are at the source offset",
}


def documents() -> dict[str, dict[str, Any]]:
    """Every document by file name."""
    created = ListingCreated.model_json_schema(by_alias=True)
    coloured = ListingColoured.model_json_schema(by_alias=True, mode="serialization")
    return {
        "listing.created.v1.json": created,
        "listing.coloured.v1.json": coloured,
        "asyncapi.json": _asyncapi(),
    }


def write(folder: Path) -> list[Path]:
    """Write every document into ``folder``, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, document in documents().items():
        path = folder / name
        path.write_text(render(document), encoding="utf-8")
        paths.append(path)
    return paths


def render(document: dict[str, Any]) -> str:
    """As it stands in a file."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def breaks(before: dict[str, Any], after: dict[str, Any], *, written_by_us: bool) -> list[str]:
    """What a change of a schema would break, in sentences; none: the change is safe.

    Parameters:
        before, after: JSON Schemas of one event.
        written_by_us: an output, which others read: nothing may go or change its type. Otherwise an input, which
            others write: nothing more may be demanded.
    """
    found = []
    old, new = before.get("properties", {}), after.get("properties", {})
    if written_by_us:
        found += [f"{name} is gone" for name in old if name not in new]
        found += [f"{name} may be missing now" for name in before.get("required", ()) if name not in after["required"]]
    else:
        found += [f"{name} is demanded now" for name in after.get("required", ()) if name not in before["required"]]
    found += [
        f"{name} was {_type(old[name])} and is {_type(new[name])}"
        for name in old.keys() & new.keys()
        if _type(old[name]) != _type(new[name])
    ]
    for name, definition in before.get("$defs", {}).items():
        if name in after.get("$defs", {}):
            inner = breaks(definition, after["$defs"][name], written_by_us=written_by_us)
            found += [f"{name}.{problem}" for problem in inner]
            if definition.get("enum") and set(definition["enum"]) - set(after["$defs"][name].get("enum", ())):
                found.append(f"{name} lost a value")
    return found


def _type(schema: dict[str, Any]) -> str:
    """What kind of value a property holds, without its limits and descriptions."""
    kinds: dict[str, Any] = {
        name: schema[name] for name in ("type", "$ref", "const", "enum", "format") if name in schema
    }
    if "anyOf" in schema:
        kinds["anyOf"] = sorted(_type(option) for option in schema["anyOf"])
    if "items" in schema:
        kinds["items"] = _type(schema["items"])
    return json.dumps(kinds, sort_keys=True)


def _asyncapi() -> dict[str, Any]:
    topics = TopicSettings()
    coloured, created = {"$ref": "listing.coloured.v1.json"}, {"$ref": "listing.created.v1.json"}
    dead_headers = {
        "type": "object",
        "properties": {name: {"type": "string", "description": text} for name, text in _DEAD_LETTER_HEADERS.items()},
    }
    listing_id = {"bindings": {"kafka": {"key": {"type": "string", "description": "the listing id"}}}}
    messages = {
        "ListingCreated": {"payload": created, "contentType": "application/json", **listing_id},
        "ListingColoured": {"payload": coloured, "contentType": "application/json", **listing_id},
        "DeadLetter": {
            "summary": "the original key, value and headers (null values of these empty), and why they were given up",
            "headers": dead_headers,
            **listing_id,
        },
    }
    channels = {"created": "ListingCreated", "coloured": "ListingColoured", "dead": "DeadLetter"}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "colour-worker", "version": worker.__version__},
        "defaultContentType": "application/json",
        "channels": {
            channel: {
                "address": getattr(topics, channel),
                "messages": {message: {"$ref": f"#/components/messages/{message}"}},
            }
            for channel, message in channels.items()
        },
        "operations": {
            "readListings": {"action": "receive", "channel": {"$ref": "#/channels/created"}},
            "publishColours": {"action": "send", "channel": {"$ref": "#/channels/coloured"}},
            "setAside": {"action": "send", "channel": {"$ref": "#/channels/dead"}},
        },
        "components": {"messages": messages},
    }
