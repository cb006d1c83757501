"""The idempotent producer: each listing written once, in order, and its delivery known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from worker.settings import KafkaSettings

_UNACKNOWLEDGED_BYTES = 32 << 20
"""kafka-python 3 bounds neither the number nor the size of what it holds; beyond this we wait."""

Delivered = Callable[[int, int], None]
"""Called with partition and offset, on the producer's thread."""


class ListingProducer:
    """Writes listings to one topic.

    A context manager; leaving it waits for what is under way.

    Parameters:
        topic: which must exist.
        max_record_bytes: the largest value that ``send`` takes.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, *, max_record_bytes: int) -> None:
        self.topic = topic
        self.delivered = 0
        self.failures: list[tuple[str, KafkaError]] = []
        self._lock = threading.Lock()
        self._unacknowledged = 0
        self._producer: Any = KafkaProducer(
            **kafka.client(),
            client_id="colour-worker-publish",
            enable_idempotence=True,
            acks="all",
            compression_type=None if kafka.compression == "none" else kafka.compression,
            linger_ms=5,
            batch_size=256 << 10,
            max_request_size=max_record_bytes + (1 << 20),
            max_block_ms=10_000,
            request_timeout_ms=10_000,
            delivery_timeout_ms=30_000,
            allow_auto_create_topics=False,
        )

    def send(self, where: str, key: bytes, value: bytes, delivered: Delivered | None = None) -> None:
        """Hand one record over; whether it arrived, ``delivered`` and ``failures`` say later.

        Parameters:
            where: names the record in ``failures``.
            delivered: called when it is written.
        """

        def succeed(metadata: Any) -> None:
            with self._lock:
                self.delivered += 1
            if delivered is not None:
                delivered(metadata.partition, metadata.offset)

        def fail(error: KafkaError) -> None:
            with self._lock:
                self.failures.append((where, error))

        if self._unacknowledged + len(value) > _UNACKNOWLEDGED_BYTES:
            self.flush()
        self._unacknowledged += len(value)
        try:
            future = self._producer.send(self.topic, key=key, value=value)
        except KafkaError as error:
            fail(error)
        else:
            future.add_callback(succeed)
            future.add_errback(fail)

    def flush(self) -> None:
        """Wait until every record handed over is written or has failed."""
        self._producer.flush()
        self._unacknowledged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.close(timeout=40)
