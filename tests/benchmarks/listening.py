"""A ``read_committed`` reader that notes when each output could be read."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from kafka import KafkaConsumer, TopicPartition


class Listener:
    """Reads the topic of colours on a thread of its own from its present end; a context manager.

    Parameters:
        topic: must exist.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.arrived: dict[str, float] = {}
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap, isolation_level="read_committed", group_id=None, enable_auto_commit=False
        )
        partitions = [TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic) or ()]
        self._consumer.assign(partitions)
        self._consumer.seek_to_end(*partitions)
        for partition in partitions:
            self._consumer.position(partition)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(10)
        self._consumer.close()

    def wait_for(self, keys: Sequence[str], timeout: float) -> None:
        """Return when each key was read. Raises ``TimeoutError`` when one was not, within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while missing := [key for key in keys if key not in self.arrived]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(missing)} of {len(keys)} outputs were not readable within {timeout:.0f} s")
            time.sleep(0.02)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            polled = self._consumer.poll(timeout_ms=100)
            now = time.monotonic()
            for records in polled.values():
                for record in records:
                    self.arrived.setdefault(record.key.decode(), now)
