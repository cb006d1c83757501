"""Listings to publish: made photos, inline or by address."""

from __future__ import annotations

import base64
import io
import json
import uuid
from collections.abc import Iterable
from typing import Any

from kafka import KafkaProducer
from PIL import Image

RED = (205, 20, 30)


def photo(colour: tuple[int, int, int] = RED, *, side: int = 96, container: str = "JPEG") -> bytes:
    """A picture of one colour on white, as a file."""
    picture = Image.new("RGB", (side, side), "white")
    picture.paste(colour, (side // 6, side // 6, side - side // 6, side - side // 6))
    buffer = io.BytesIO()
    picture.save(buffer, container)
    return buffer.getvalue()


def listing(name: str, *images: dict[str, str], **fields: Any) -> dict[str, Any]:
    """A valid event; ``fields`` replace or add to its own."""
    return {
        "schema": "listing.created.v1",
        "event_id": f"event-{name}",
        "listing_id": name,
        "occurred_at": "2026-01-31T12:00:00Z",
        "title": f"Платье {name}",
        "description": "",
        "category": "girls-clothing",
        "images": list(images),
        **fields,
    }


def inline(data: bytes) -> dict[str, str]:
    """A photo inside the event."""
    return {"data": base64.b64encode(data).decode()}


def many(count: int, *, colours: int = 24) -> list[dict[str, Any]]:
    """``count`` listings with fresh ids, over ``colours`` different inline photos."""
    run = uuid.uuid4().hex[:8]
    photos = [inline(photo((i * 37 % 256, i * 91 % 256, i * 53 % 256), side=64 + i)) for i in range(colours)]
    return [listing(f"{run}-{i:06d}", photos[i % colours]) for i in range(count)]


def publish(bootstrap: str, topic: str, events: Iterable[dict[str, Any] | tuple[str, bytes]]) -> list[str]:
    """Publish events (or raw ``(key, value)`` pairs), wait until Kafka has them, and return their keys."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, max_request_size=32 << 20)
    keys, sent = [], []
    for event in events:
        key, value = event if isinstance(event, tuple) else (event["listing_id"], json.dumps(event).encode())
        keys.append(key)
        sent.append(producer.send(topic, key=key.encode(), value=value))
    producer.flush(timeout=60)
    for future in sent:
        future.get(timeout=10)
    producer.close()
    return keys
