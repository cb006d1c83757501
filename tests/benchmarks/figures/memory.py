"""Memory: peak of a worker that is as fast as it can be, cold and then warm."""

from __future__ import annotations

from tests.benchmarks.arithmetic import at_most, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row

_EVENTS = 1_200
_REPEATS = 5


def measure(field: Field) -> list[Row]:
    """Peak resident memory after a cold backlog and the same events again, several times, from the cache."""
    listings = by_address(field.photos_url, field.photo_names, _EVENTS)
    with field.fleet(field.standin) as fleet:
        fleet.publish(listings)
        (worker,) = fleet.start()
        cold = steady_rate(fleet.watch(_EVENTS))
        after_cold = worker.peak_megabytes()
        fleet.publish(listings * _REPEATS)
        fleet.watch(_EVENTS * (1 + _REPEATS))
        peak = worker.peak_megabytes()
    return [
        Row(
            "memory",
            peak,
            at_most(400),
            "MB",
            parts={"after the cold part, MB": after_cold, "cold, events/s": cold},
            note="VmHWM of one worker with default settings, the sum of its processes' own",
        )
    ]
