"""Latency of a fleet at a pace: what ``latency`` and ``beside_replay`` measure alike."""

from __future__ import annotations

import json

from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.fleet import Fleet
from tests.benchmarks.listening import Listener, latencies, publish_evenly

_SKIPPED = 0.1


def at_pace(field: Field, fleet: Fleet, rate: float, seconds: float) -> list[float]:
    """Seconds from event in to output readable, for events that come evenly at ``rate`` a second."""
    count = max(20, int(rate * seconds))
    listings = by_address(field.photos_url, field.photo_names, count)
    values = [(listing["listing_id"], json.dumps(listing).encode()) for listing in listings]
    deployment = fleet.deployment
    with Listener(deployment.bootstrap, deployment.coloured) as listener:
        sent = publish_evenly(deployment.bootstrap, deployment.created, values, rate)
        listener.wait_for(list(sent), timeout=60)
    return latencies(sent, listener.arrived, int(count * _SKIPPED))
