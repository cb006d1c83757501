"""``python -m tests.benchmarks.steps``: microseconds of the processor for each step of one warm event, without servers.

The best of several repeats, since whatever else the machine does only adds. What kafka-python, Redis' and Triton's
clients cost is not in it: the flame graphs of ``make profile`` show that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
from kafka import TopicPartition
from rich.console import Console
from rich.table import Table

from tests.benchmarks import events, models, photos
from worker import cache, images
from worker.events import ListingCreated
from worker.settings import Settings, TaggerSettings
from worker.stream.envelope import Envelope
from worker.stream.inflight import Item
from worker.stream.publication import Publisher
from worker.stream.topics import Topics
from worker.stream.transactions import Answer
from worker.stream.witness import count
from worker.tagger import Labelled, Tagger, pool

_BATCH = 256
_REPEATS = 15


def best(step: Callable[[], Any], divisor: int = _BATCH) -> float:
    """Microseconds of processor time for each of ``divisor`` parts of one call; the least of several."""
    found = []
    for _ in range(_REPEATS):
        begun = time.process_time_ns()
        step()
        found.append((time.process_time_ns() - begun) / 1000 / divisor)
    return min(found)


def steps() -> dict[str, float]:
    """Microseconds an event by step, in batches of 256; a photo's decoding, by photo, at the end."""
    release = models.release(models.STANDIN)
    width = models.WIDTH
    listings = events.by_address("http://127.0.0.1:1", ["a.jpg"], _BATCH)
    values = [json.dumps(listing).encode() for listing in listings]
    rows = np.random.default_rng(1).normal(size=(_BATCH, width)).astype(np.float16)
    packed = [cache.pack(row) for row in rows]
    shares = np.random.default_rng(2).dirichlet(np.ones(18), _BATCH).astype(np.float32)
    records = [_record(number, value) for number, value in enumerate(values)]
    now = datetime.now(UTC)
    names = Topics.from_settings(Settings())
    publisher = Publisher(names, (), "live", 8 << 20)
    envelopes = [Envelope.open(record, retried=False) for record in records]
    parsed = [ListingCreated.parse(value) for value in values]
    tagger = object.__new__(Tagger)  # only its settings are needed
    tagger._settings = TaggerSettings()
    tops, certain = tagger._best(release, shares)
    outcomes = [
        Labelled(event, top, sure, 1, text_used=True, release=release)
        for event, top, sure in zip(parsed, tops, certain, strict=True)
    ]
    answers = _answers(envelopes, outcomes, publisher, now)
    photo = photos.photo(1)
    return {
        "open the record": best(lambda: [Envelope.open(record, retried=False) for record in records]),
        "parse and check the event": best(lambda: [ListingCreated.parse(value) for value in values]),
        "two cache keys": best(lambda: [cache.key("f", f"url:{n}") + cache.key("f", f"t{n}") for n in range(_BATCH)]),
        "two embeddings from Redis' bytes": best(lambda: [cache.unpack(value, width) for value in packed * 2]),
        "pool": best(lambda: pool([[row] for row in rows])),
        "best colours": best(lambda: tagger._best(release, shares)),
        "output as JSON": best(lambda: _answers(envelopes, outcomes, publisher, now)),
        "metrics": best(lambda: count(answers, names.dead, now)),
        "decode a 100 kB JPEG (cold only)": best(lambda: images.decode(photo, 128), 1),
    }


def _record(number: int, value: bytes) -> SimpleNamespace:
    return SimpleNamespace(
        key=b"k", value=value, headers=[], topic="t", partition=0, offset=number, timestamp=1_700_000_000_000
    )


def _answers(
    envelopes: Sequence[Envelope], outcomes: Sequence[Labelled], publisher: Publisher, now: datetime
) -> list[Answer]:
    partition = TopicPartition("t", 0)
    return [
        Answer(Item(partition, number, envelope), outcome, publisher.publish(envelope, outcome, now))
        for number, (envelope, outcome) in enumerate(zip(envelopes, outcomes, strict=True))
    ]


if __name__ == "__main__":
    table = Table("step", "µs an event", title="The worker's own steps, processor time")
    for name, microseconds in steps().items():
        table.add_row(name, f"{microseconds:,.1f}")
    Console().print(table)
