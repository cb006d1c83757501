"""Worker ceiling, cold: how much of the photos' own cost (fetching, decoding) the worker leaves."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from tests.benchmarks.arithmetic import at_least, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row

EVENTS = 3_000
_ROUNDS = 3


class Ceiling(NamedTuple):
    """The best round of each, a second."""

    alone: float
    alone_in_one_process: float
    worker: float


def measure(field: Field) -> list[Row]:
    """One worker with the stand-in, over fetching and decoding alone."""
    found = ceiling(field)
    return [
        Row(
            "worker ceiling, cold",
            found.worker / found.alone,
            at_least(0.7),
            parts={
                "worker, events/s": found.worker,
                "fetch and decode alone, photos/s": found.alone,
                "in one process, photos/s": found.alone_in_one_process,
            },
            note="one worker, stand-in model (waits, computes nothing), one 100 kB JPEG by HTTP an event; fetching and "
            "decoding alone have as many processes and threads as the worker has for it; the best of three rounds "
            "each, in turns",
        )
    ]


@cache
def ceiling(field: Field) -> Ceiling:
    """Photos a second by fetching and decoding alone, and events a second of one worker; measured once in a run.

    In turns, and the best round of each counts: what else the machine does only takes away.
    """
    rounds = [(*_fetching_alone(field), _worker(field)) for _ in range(_ROUNDS)]
    return Ceiling(*(max(rates) for rates in zip(*rounds, strict=True)))


def _fetching_alone(field: Field) -> tuple[float, float]:
    answer = field.child("tests.benchmarks.baselines.fetching", field.photos_url, *field.photo_names)
    return float(answer["photos_per_second"]), float(answer["in_one_process"])


def _worker(field: Field) -> float:
    field.calm_down()  # nothing is cached
    with field.fleet(field.standin) as fleet:
        fleet.publish(by_address(field.photos_url, field.photo_names, EVENTS))
        fleet.start()
        return steady_rate(fleet.watch(EVENTS))
