"""Worker ceiling, cold: how much of the photos' own cost (fetching, decoding) the worker leaves."""

from __future__ import annotations

from tests.benchmarks.arithmetic import at_least, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row

EVENTS = 1_500


def measure(field: Field) -> list[Row]:
    """One worker with the stand-in, over fetching and decoding alone."""
    fetched = field.child("tests.benchmarks.baselines.fetching", field.stack.photos.url, *field.photo_names)
    rate = worker_rate(field, EVENTS)
    return [
        Row(
            "worker ceiling, cold",
            rate / fetched["photos_per_second"],
            at_least(0.7),
            parts={"worker, events/s": rate, "fetch and decode alone, photos/s": fetched["photos_per_second"]},
            note="one worker process, stand-in model (waits, computes nothing), one 100 kB JPEG by HTTP an event",
        )
    ]


def worker_rate(field: Field, count: int) -> float:
    """Events a second of one worker with the stand-in and nothing cached."""
    with field.fleet(field.standin) as fleet:
        fleet.publish(by_address(field.stack.photos.url, field.photo_names, count))
        fleet.start()
        return steady_rate(fleet.watch(count))
