"""Reads what the worker wrote, as a downstream team would: ``read_committed``, from the beginning."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition


@dataclass
class Answers:
    """Everything read so far.

    Parameters:
        coloured: outputs in the order of reading.
        dead: dead letters as ``(key, value, headers)``.
        counts: answers of either kind for each listing id; more than one is a duplicate.
    """

    coloured: list[dict[str, Any]] = field(default_factory=list)
    dead: list[tuple[str, bytes | None, dict[str, str]]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def reasons(self) -> dict[str, str]:
        """Reason of each dead letter by key."""
        return {key: headers["colour-reason"] for key, _, headers in self.dead}

    @property
    def duplicates(self) -> dict[str, int]:
        """Ids that were answered more than once."""
        return {key: count for key, count in self.counts.items() if count > 1}

    def by_listing(self) -> dict[str, dict[str, Any]]:
        """The output of each listing id."""
        return {answer["listing_id"]: answer for answer in self.coloured}


class Reader:
    """A downstream consumer of the output and dead-letter topics."""

    def __init__(self, bootstrap: str, coloured: str, dead: str) -> None:
        self._coloured, self._dead = coloured, dead
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            group_id=None,
            reconnect_backoff_max_ms=500,
        )
        partitions = [
            TopicPartition(topic, number)
            for topic in (coloured, dead)
            for number in self._consumer.partitions_for_topic(topic) or ()
        ]
        self._consumer.assign(partitions)
        self.answers = Answers()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._consumer.close()

    def until(self, condition: Callable[[Answers], bool], timeout: float = 100) -> Answers:
        """Read on until ``condition`` holds.

        Raises:
            TimeoutError: it did not, within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while not condition(self.answers):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"after {timeout} s: {len(self.answers.coloured)} outputs, dead letters {self.answers.reasons}"
                )
            self._read(200)
        return self.answers

    def all_of(self, keys: Iterable[str], timeout: float = 100) -> Answers:
        """Read until each key has an answer, and then to the end, so that a duplicate would be seen too."""
        wanted = set(keys)
        self.until(lambda answers: wanted <= answers.counts.keys(), timeout)
        ends = self._consumer.end_offsets(list(self._consumer.assignment()))
        self.until(lambda _: all(self._consumer.position(partition) >= end for partition, end in ends.items()), timeout)
        return self.answers

    def _read(self, milliseconds: int) -> None:
        for partition, records in self._consumer.poll(milliseconds).items():
            for record in records:
                if partition.topic == self._dead:
                    headers = {name: value.decode() for name, value in record.headers}
                    key = (record.key or b"").decode("utf-8", "replace")
                    self.answers.dead.append((key, record.value, headers))
                else:
                    answer = json.loads(record.value)
                    key = answer["listing_id"]
                    self.answers.coloured.append(answer)
                self.answers.counts[key] += 1
