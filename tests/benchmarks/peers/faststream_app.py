"""FastStream over aiokafka: a subscriber that is given each event and publishes what it returns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
import numpy as np
import redis.asyncio as redis
from faststream import FastStream
from faststream.kafka import KafkaBroker
from tritonclient.grpc import aio as triton

from tests.benchmarks.peers.job import KINDS, Array, answer, keys, place, setting, tensors
from worker import cache, images


class AsyncJob:
    """The job of ``job.Job`` for an event loop: the same calls, awaited."""

    def __init__(self) -> None:
        self._http = aiohttp.ClientSession()
        self._redis = redis.Redis.from_url(place("REDIS"))
        self._triton: Any = triton.InferenceServerClient(place("TRITON"))

    async def __call__(self, event: Mapping[str, Any]) -> bytes:
        photo_key, text_key = keys(event)
        image = await self._cached(photo_key, setting("IMAGE_WIDTH"))
        if image is None:
            async with self._http.get(event["images"][0]["url"]) as response:
                photo = await response.read()
            pixels = await asyncio.to_thread(images.decode, photo, setting("SIDE"))
            image = await self._embed("colour_image", {"pixels": pixels[None]}, photo_key)
        text = await self._cached(text_key, setting("TEXT_WIDTH"))
        if text is None:
            said = np.array([[f"{event['title']}\n{event['description']}".encode()]], dtype=np.object_)
            text = await self._embed("colour_text", {"text": said}, text_key)
        inputs = {"image_embedding": image[None].astype(np.float32), "text_embedding": text[None].astype(np.float32)}
        return answer(event, await self._infer("colour_head", inputs, "probabilities"))

    async def _cached(self, key: str, width: int) -> Array | None:
        value = await self._redis.get(key)
        return cache.unpack(value, width) if isinstance(value, bytes) else None

    async def _embed(self, model: str, inputs: Mapping[str, Array], key: str) -> Array:
        embedding = (await self._infer(model, inputs, "embedding")).astype(np.float16)
        await self._redis.set(key, cache.pack(embedding), ex=86_400)
        return embedding

    async def _infer(self, model: str, inputs: Mapping[str, Array], output: str) -> Array:
        asked = await self._triton.infer(
            model, tensors(inputs, KINDS, triton.InferInput), outputs=[triton.InferRequestedOutput(output)]
        )
        row: Array = asked.as_numpy(output)[0]
        return row


def main() -> None:
    """Run until killed."""
    broker = KafkaBroker(place("KAFKA"), log_level=logging.WARNING)
    app = FastStream(broker)
    jobs: list[AsyncJob] = []

    @app.on_startup
    async def connect() -> None:
        jobs.append(AsyncJob())

    @broker.subscriber(place("SOURCE"), group_id=place("GROUP"), auto_offset_reset="earliest")
    @broker.publisher(place("TARGET"))
    async def colour(event: dict[str, Any]) -> bytes:
        return await jobs[0](event)

    asyncio.run(app.run())


if __name__ == "__main__":
    main()
