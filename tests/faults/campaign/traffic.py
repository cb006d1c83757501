"""Publishes listings at a steady rate, on a thread of its own, through every outage of Kafka."""

from __future__ import annotations

import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from kafka import KafkaProducer

from tests.support import events
from tests.support.worker_process import Deployment

_MOST_AT_ONCE = 200

PHOTOS = 24
"""So many different photos go round; a listing's number modulo this is its photo."""


class Traffic(threading.Thread):
    """Publishes ``count`` listings with fresh ids.

    Parameters:
        rate: listings a second; ``math.inf``: as fast as Kafka takes them.
        answered: how many were answered so far; traffic waits while ``max_ahead`` are not.
    """

    def __init__(
        self, deployment: Deployment, *, count: int, rate: float, answered: Callable[[], int], max_ahead: int = 5_000
    ) -> None:
        super().__init__(name="traffic", daemon=True)
        self._deployment = deployment
        self._count = count
        self._rate = rate
        self._answered = answered
        self._max_ahead = max_ahead
        self.allowed = count
        """Publish no more than so many for now: what is left meets the faults to come."""
        self.photo_of: dict[str, int] = {}
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._publish()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.error = error

    def _publish(self) -> None:
        # Idempotent: a duplicate of the publisher's would be counted as the worker's.
        producer = KafkaProducer(
            bootstrap_servers=self._deployment.bootstrap,
            enable_idempotence=True,
            acks="all",
            linger_ms=5,
            delivery_timeout_ms=180_000,
            max_block_ms=120_000,
        )
        sent = []
        for listings in _chunks(self._listings(), size=max(1, int(min(self._rate / 10, _MOST_AT_ONCE)))):
            due = time.monotonic() + len(listings) / self._rate
            while self._must_wait():
                time.sleep(0.05)
            for number, listing in listings:
                key, value = listing["listing_id"].encode(), json.dumps(listing).encode()
                sent.append(producer.send(self._deployment.created, key=key, value=value))
                self.photo_of[listing["listing_id"]] = number % PHOTOS
            time.sleep(max(0.0, due - time.monotonic()))
        for future in sent:
            future.get(timeout=180)
        producer.close()

    def _must_wait(self) -> bool:
        published = len(self.photo_of)
        return published >= self.allowed or published - self._answered() > self._max_ahead

    def _listings(self) -> Iterator[tuple[int, dict[str, Any]]]:
        run = uuid.uuid4().hex[:8]
        photos = [
            events.inline(events.photo((i * 37 % 256, i * 91 % 256, i * 53 % 256), side=64 + i)) for i in range(PHOTOS)
        ]
        for number in range(self._count):
            yield number, events.listing(f"{run}-{number:06d}", photos[number % PHOTOS])


def _chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while chunk := list(itertools.islice(items, size)):
        yield chunk
