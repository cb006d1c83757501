"""Latency of a fleet at a pace: what ``latency`` and ``beside_replay`` measure alike."""

from __future__ import annotations

import json

from tests.benchmarks import environment
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.fleet import Fleet

_SKIPPED = 0.1
"""Of the events, the first: they meet cold connections."""


def at_pace(field: Field, fleet: Fleet, rate: float, seconds: float) -> list[float]:
    """Seconds from event in to output readable, for events that come evenly at ``rate`` a second."""
    count = max(20, int(rate * seconds))
    listings = by_address(field.photos_url, field.photo_names, count)
    path = field.folder / "events.json"
    path.write_text(json.dumps([(listing["listing_id"], json.dumps(listing)) for listing in listings]))
    deployment = fleet.deployment
    answer = field.child(
        "tests.benchmarks.marketplace",
        deployment.bootstrap, deployment.created, deployment.coloured, str(rate), str(path),
        python=environment.python(),
    )  # fmt: skip
    latencies: list[float] = answer["seconds"]
    return latencies[int(count * _SKIPPED) :]
