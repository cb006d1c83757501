"""Warm over cold: a replay with a new head, embeddings cached, over a replay of events that were never seen."""

from __future__ import annotations

from tests.benchmarks import events, models, replaying
from tests.benchmarks.arithmetic import at_least
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row

_COLD = 400
_WARM = 20_000


def measure(field: Field) -> list[Row]:
    """The rates of two replays, with the real models."""
    triton = field.encoder
    with field.fleet(triton) as fleet:
        fleet.publish(by_address(field.photos_url, field.photo_names, _COLD))
        cold = replaying.rate(fleet, "cold", _COLD)
    listings = by_address(field.photos_url, field.photo_names, _WARM)
    events.warm(field.stack.redis.url, models.release(triton.repository), listings)
    with field.fleet(triton) as fleet:
        fleet.publish(listings)
        warm = replaying.rate(fleet, "warm", _WARM, release="head=2")
    return [
        Row(
            "warm over cold",
            warm / cold,
            at_least(20),
            parts={"replay with a new head, events/s": warm, "replay with an empty cache, events/s": cold},
            note="the project's own models on the processor; a process of its own for each replay",
        )
    ]
