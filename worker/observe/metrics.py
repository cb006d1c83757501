"""Prometheus metrics: every name in one place, as dashboards and alerts know it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

OUTCOMES = Counter("colour_outcomes", "Events answered", ["outcome"])
"""labelled, uncertain, postponed, rejected; counted when their transaction is committed."""

LABELS = Counter("colour_labels", "Events that got a colour", ["colour"])
FAILURES = Counter("colour_failures", "Events rejected or postponed", ["outcome", "reason"])
PHOTO_FAILURES = Counter("colour_photo_failures", "Photos that could not be used", ["reason"])
CACHE = Counter("colour_cache_lookups", "Embeddings looked up in Redis", ["kind", "result"])
STAGE = Histogram("colour_stage_seconds", "Time of one batch in one stage", ["stage"], buckets=_SECONDS)
"""fetch and decode (one photo each), cache, encode, head, commit (one batch each)."""

LATENCY = Histogram("colour_event_seconds", "From the event's Kafka timestamp to its commit", buckets=_SECONDS)
BATCH = Histogram("colour_batch_size", "Records in a batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
IN_FLIGHT = Gauge("colour_batches_in_flight", "Batches in computation or waiting to be committed")
LAG = Gauge("colour_lag", "Records between the position and the end of the partition", ["topic", "partition"])
TRANSACTIONS = Counter("colour_transactions", "Kafka transactions", ["result"])
MENDED = Counter("colour_transactions_mended", "Hanging transactions that were ended, by partition", ["result"])
HANGING = Gauge("colour_transactions_hanging", "Partitions with a transaction that only an operator can end")
NO_OFFSET = Gauge("colour_partitions_without_offset", "Assigned partitions whose committed offset Kafka does not tell")
REWINDS = Counter("colour_rewinds", "Times that the worker went back to the committed offsets", ["cause"])
UNAVAILABLE = Gauge("colour_unavailable", "1 while a neighbour keeps the worker waiting", ["neighbour"])
RELEASE = Gauge("colour_release_info", "The active release", ["image", "text", "head"])
ANSWERS = Counter("colour_release_answers", "Events that got a colour, by release", ["image", "text", "head"])
SHADOW_SHARE = Gauge("colour_shadow_share", "Share of listings that a candidate release answers too; 0: there is none")
SHADOW = Counter("colour_shadow_events", "Sampled events, and what became of them", ["result"])
"""same, different (from the active release's colour), unanswered (no photo now), dropped (no room, or resting after a
failure), failed (the candidate did not answer), unwritten (Kafka did not take the record)."""

SHADOW_SECONDS = Histogram(
    "colour_shadow_seconds", "Time in Triton for one batch of shadowed events", ["release"], buckets=_SECONDS
)
"""active and candidate: the same inputs, asked in turn at background priority."""


for _outcome in ("labelled", "uncertain", "postponed", "rejected"):
    OUTCOMES.labels(_outcome)
for _result in ("committed", "aborted"):
    MENDED.labels(_result)
for _kind in ("image", "text"):
    for _result in ("hit", "miss"):
        CACHE.labels(_kind, _result)
for _result in ("same", "different", "unanswered", "dropped", "failed", "unwritten"):
    SHADOW.labels(_result)
for _release in ("active", "candidate"):
    SHADOW_SECONDS.labels(_release)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time one stage."""
    started = time.perf_counter()
    try:
        yield
    finally:
        STAGE.labels(name).observe(time.perf_counter() - started)
