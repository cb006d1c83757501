"""Live latency while a replay runs at full speed beside it (issue 5: p99 grows by less than 20 %)."""

from __future__ import annotations

from statistics import median

from tests.benchmarks.arithmetic import at_most, percentile
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.fleet import Fleet
from tests.benchmarks.pace import at_pace
from tests.benchmarks.replaying import begin, end
from tests.benchmarks.report import Row

_RATE = 25.0
_SECONDS = 12.0
_REPLAYED = 6_000
_ROUNDS = 5
"""Of either kind: a round's p99 is its third slowest event, which a moment of the machine's own decides."""


def measure(field: Field) -> list[Row]:
    """Live p99 with a replay over p99 without, in turns, so that the machine's own moods fall on both."""
    with field.fleet(field.standin) as fleet:
        fleet.publish(by_address(field.photos_url, field.photo_names, _REPLAYED))
        fleet.start()
        fleet.watch(_REPLAYED)
        alone: list[float] = []
        beside: list[float] = []
        for number in range(_ROUNDS):
            alone.append(_p99(field, fleet))
            field.calm_down()  # or the replay would be over at once
            process = begin(fleet, f"beside-{number}")
            try:
                beside.append(_p99(field, fleet))
                running = process.poll() is None
            finally:
                end(process)
            if not running:
                raise RuntimeError("the replay had ended before the live events were answered; give it more of them")
    growth = (median(beside) / median(alone) - 1) * 100
    return [
        Row(
            "live p99 beside a replay",
            growth,
            at_most(20),
            "% more",
            parts={
                "p99 alone, ms": median(alone) * 1000,
                "p99 beside it, ms": median(beside) * 1000,
                "p99 alone, least and most, ms": f"{min(alone) * 1000:.0f} to {max(alone) * 1000:.0f}",
                "p99 beside it, least and most, ms": f"{min(beside) * 1000:.0f} to {max(beside) * 1000:.0f}",
            },
            note=f"{_RATE:g} live events/s; a cold replay, unlimited, shares all cores; medians of {_ROUNDS} rounds",
        )
    ]


def _p99(field: Field, fleet: Fleet) -> float:
    return percentile(at_pace(field, fleet, _RATE, _SECONDS), 0.99)
