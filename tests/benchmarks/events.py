"""Events whose photos stand on the photo host, and the embeddings that make them warm."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from kafka import KafkaProducer
from redis import Redis

from tests.support.events import listing
from worker import cache
from worker.models.releases import Release

DESCRIPTION = (
    "Почти новое, носили два раза, размер указан на бирке. Из дома без животных и курения, пересылка почтой за счёт "
    "покупателя, примерка и самовывоз у метро вечером в будни или в выходные после двенадцати."
)

_PIPELINE = 2_000


def by_address(base: str, names: Sequence[str], count: int) -> list[dict[str, Any]]:
    """``count`` listings, each with an address and a text that no other has: nothing of one is cached for another.

    Parameters:
        base: address of the photo host.
        names: files on it; the address' query makes one file many photos.
    """
    run = uuid.uuid4().hex[:8]
    return [
        listing(
            f"{run}-{number:06d}",
            {"url": f"{base}/{names[number % len(names)]}?listing={run}-{number}"},
            description=DESCRIPTION,
        )
        for number in range(count)
    ]


def publish(bootstrap: str, topic: str, events: Iterable[dict[str, Any]], *, partitions: int | None = None) -> int:
    """Publish, and return how many once Kafka has them.

    Parameters:
        partitions: spread the events over so many in turn; by default Kafka's hash of the key decides.
    """
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, batch_size=256 << 10, compression_type="lz4")
    try:
        sent = [
            producer.send(
                topic,
                key=event["listing_id"].encode(),
                value=json.dumps(event).encode(),
                partition=None if partitions is None else number % partitions,
            )
            for number, event in enumerate(events)
        ]
        producer.flush(timeout=120)
        for future in sent:
            future.get(timeout=10)
    finally:
        producer.close()
    return len(sent)


def warm(url: str, release: Release, events: Sequence[dict[str, Any]]) -> None:
    """Put embeddings of the events' photos and texts into Redis, as a worker would have left them there."""
    random = np.random.default_rng(7)

    def unit(width: int) -> cache.Embedding:
        vector = random.normal(size=width)
        return (vector / np.linalg.norm(vector)).astype(np.float16)

    # Values may repeat, keys may not: making 40,000 different vectors would only take time.
    photos = [cache.pack(unit(release.image.width)) for _ in range(64)]
    texts = [cache.pack(unit(release.text.width)) for _ in range(64)]
    with Redis.from_url(url) as redis:
        for start in range(0, len(events), _PIPELINE):
            with redis.pipeline(transaction=False) as pipeline:
                for number, event in enumerate(events[start : start + _PIPELINE], start):
                    said = f"{event['title']}\n{event['description']}"
                    address = f"url:{event['images'][0]['url']}"
                    pipeline.set(cache.key(release.image.fingerprint, address), photos[number % 64])
                    pipeline.set(cache.key(release.text.fingerprint, said), texts[number % 64])
                pipeline.execute()
