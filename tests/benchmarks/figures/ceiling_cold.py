"""Worker ceiling, cold: how much of the photos' own cost (fetching, decoding) the worker leaves."""

from __future__ import annotations

from functools import cache

from tests.benchmarks.arithmetic import at_least, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row

EVENTS = 1_500
_ROUNDS = 3


def measure(field: Field) -> list[Row]:
    """One worker with the stand-in, over fetching and decoding alone."""
    alone, rate = ceiling(field)
    return [
        Row(
            "worker ceiling, cold",
            rate / alone,
            at_least(0.7),
            parts={"worker, events/s": rate, "fetch and decode alone, photos/s": alone},
            note="one worker process, stand-in model (waits, computes nothing), one 100 kB JPEG by HTTP an event; "
            "the best of three rounds each, in turns",
        )
    ]


@cache
def ceiling(field: Field) -> tuple[float, float]:
    """Photos a second by fetching and decoding alone, and events a second of one worker; measured once in a run.

    In turns, and the best round of each counts: what else the machine does only takes away.
    """
    rounds = [(_fetching_alone(field), _worker(field)) for _ in range(_ROUNDS)]
    alone, worker = (max(rates) for rates in zip(*rounds, strict=True))
    return alone, worker


def _fetching_alone(field: Field) -> float:
    answer = field.child("tests.benchmarks.baselines.fetching", field.photos_url, *field.photo_names)
    return float(answer["photos_per_second"])


def _worker(field: Field) -> float:
    field.calm_down()  # nothing is cached
    with field.fleet(field.standin) as fleet:
        fleet.publish(by_address(field.photos_url, field.photo_names, EVENTS))
        fleet.start()
        return steady_rate(fleet.watch(EVENTS))
