"""Worker ceiling, cold: how much of the photos' own cost (fetching, decoding) the worker leaves."""

from __future__ import annotations

from tests.benchmarks.arithmetic import at_least, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row

EVENTS = 1_500


def measure(field: Field) -> list[Row]:
    """One worker with the stand-in, over fetching and decoding alone."""
    # Before and after, and the better of the two: what else the machine does must not flatter the worker.
    before = _fetching_alone(field)
    rate = worker_rate(field, EVENTS)
    alone = max(before, _fetching_alone(field))
    return [
        Row(
            "worker ceiling, cold",
            rate / alone,
            at_least(0.7),
            parts={"worker, events/s": rate, "fetch and decode alone, photos/s": alone},
            note="one worker process, stand-in model (waits, computes nothing), one 100 kB JPEG by HTTP an event",
        )
    ]


def _fetching_alone(field: Field) -> float:
    answer = field.child("tests.benchmarks.baselines.fetching", field.photos_url, *field.photo_names)
    return float(answer["photos_per_second"])


def worker_rate(field: Field, count: int) -> float:
    """Events a second of one worker with the stand-in and nothing cached."""
    with field.fleet(field.standin) as fleet:
        fleet.publish(by_address(field.photos_url, field.photo_names, count))
        fleet.start()
        return steady_rate(fleet.watch(count))
