"""The job itself, one event at a time: cache, photo, pixels, two embeddings, head. Written once for all peers.

Everything that can be the worker's own is: decoder, cache keys and formats, Triton and its client library. What the
peers lack is what the worker is about: batches, requests in flight together, guards, retries, transactions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import requests
from redis import Redis
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

from worker import cache, images

Array = npt.NDArray[Any]


def place(name: str) -> str:
    """Where a server or topic is: from the environment, where the benchmark puts it."""
    return os.environ[f"PEER_{name}"]


def setting(name: str) -> int:
    """A number of the models' configuration."""
    return int(place(name))


def keys(event: Mapping[str, Any]) -> tuple[str, str]:
    """The Redis keys of an event's photo and text."""
    text = f"{event['title']}\n{event['description']}"
    return (
        cache.key(place("IMAGE_FINGERPRINT"), f"url:{event['images'][0]['url']}"),
        cache.key(place("TEXT_FINGERPRINT"), text),
    )


def tensors(inputs: Mapping[str, Array], kinds: Mapping[str, str], make: Any = InferInput) -> list[Any]:
    """Arrays with a batch of one, as Triton's client wants them."""
    found = []
    for name, rows in inputs.items():
        tensor = make(name, list(rows.shape), kinds[name])
        tensor.set_data_from_numpy(rows)
        found.append(tensor)
    return found


KINDS = {"pixels": "UINT8", "text": "BYTES", "image_embedding": "FP32", "text_embedding": "FP32"}


def answer(event: Mapping[str, Any], probabilities: Array) -> bytes:
    """The output, about as long as the worker's."""
    labels = place("LABELS").split(",")
    best = np.argsort(-probabilities)[:3]
    top = [{"colour": labels[at], "probability": round(float(probabilities[at]), 4)} for at in best]
    return json.dumps(
        {
            "schema": "listing.coloured.v1",
            "event_id": event["event_id"],
            "listing_id": event["listing_id"],
            "decision": "labelled" if probabilities[best[0]] >= 0.5 else "uncertain",
            "colour": top[0]["colour"],
            "confidence": top[0]["probability"],
            "top": top,
            "images_used": 1,
            "text_used": True,
            "labelled_at": datetime.now(UTC).isoformat(),
        }
    ).encode()


class Job:
    """For loops that wait for each call."""

    def __init__(self) -> None:
        self._http = requests.Session()
        self._redis = Redis.from_url(place("REDIS"))
        self._triton = InferenceServerClient(place("TRITON"))

    def __call__(self, event: Mapping[str, Any]) -> bytes:
        """One event in, one output out."""
        photo_key, text_key = keys(event)
        image = self._cached(photo_key, setting("IMAGE_WIDTH"))
        if image is None:
            photo = self._http.get(event["images"][0]["url"], timeout=8).content
            pixels = images.decode(photo, setting("SIDE"))
            image = self._embed("colour_image", {"pixels": pixels[None]}, photo_key)
        text = self._cached(text_key, setting("TEXT_WIDTH"))
        if text is None:
            said = np.array([[f"{event['title']}\n{event['description']}".encode()]], dtype=np.object_)
            text = self._embed("colour_text", {"text": said}, text_key)
        inputs = {"image_embedding": image[None].astype(np.float32), "text_embedding": text[None].astype(np.float32)}
        return answer(event, self._infer("colour_head", inputs, "probabilities"))

    def _cached(self, key: str, width: int) -> Array | None:
        value = self._redis.get(key)
        return cache.unpack(value, width) if isinstance(value, bytes) else None

    def _embed(self, model: str, inputs: Mapping[str, Array], key: str) -> Array:
        embedding = self._infer(model, inputs, "embedding").astype(np.float16)
        self._redis.set(key, cache.pack(embedding), ex=86_400)
        return embedding

    def _infer(self, model: str, inputs: Mapping[str, Array], output: str) -> Array:
        asked = self._triton.infer(model, tensors(inputs, KINDS), outputs=[InferRequestedOutput(output)])
        row: Array = asked.as_numpy(output)[0]
        return row
