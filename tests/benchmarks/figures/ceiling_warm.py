"""Worker ceiling, warm: how much of kafka-python's own rate is left when every embedding is cached."""

from __future__ import annotations

from typing import Any

from tests.benchmarks import events, models
from tests.benchmarks.arithmetic import Sample, at_least, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row

EVENTS = 30_000
_ROUNDS = 3


def measure(field: Field) -> list[Row]:
    """One worker on a warm cache, over kafka-python alone on the same records; and the worker's rate by CPU time.

    In turns, and the best round of each counts: what else the machine does only takes away.
    """
    listings = by_address(field.photos_url, field.photo_names, EVENTS)
    events.warm(field.stack.redis.url, models.release(field.standin.repository), listings)
    rounds = [_round(field, listings) for _ in range(_ROUNDS)]
    alone, rate, by_core = (max(found[at] for found in rounds) for at in range(3))
    return [
        Row(
            "worker ceiling, warm",
            rate / alone,
            at_least(0.4),
            parts={
                "worker, events/s": rate,
                "kafka-python alone, records/s": alone,
                "worker, events per CPU second": by_core,
                "peak memory, MB": max(found[3] for found in rounds),
            },
            note="one worker process, stand-in head; kafka-python alone consumes them and produces answers as long as "
            "ours, without transactions; the best of three rounds each, in turns",
        ),
        Row(
            "worker ceiling, warm: rate",
            by_core,
            at_least(3_000),
            "events per CPU second",
            parts={"least of the rounds": min(found[2] for found in rounds)},
        ),
    ]


def _round(field: Field, listings: list[dict[str, Any]]) -> tuple[float, float, float, float]:
    """Records a second of kafka-python alone; the worker's events a second, a CPU second, and its peak in MB."""
    with field.fleet(field.standin) as fleet:
        count = fleet.publish(listings)
        alone = field.child(
            "tests.benchmarks.baselines.kafka_alone",
            fleet.deployment.bootstrap, fleet.deployment.created, fleet.deployment.coloured, str(count),
        )  # fmt: skip
        (worker,) = fleet.start()
        before = (worker.cpu_seconds(), fleet.committed())
        samples: list[Sample] = fleet.watch(count)
        after = (worker.cpu_seconds(), fleet.committed())
        peak = worker.peak_megabytes()
    by_core = (after[1] - before[1]) / (after[0] - before[0])
    return float(alone["records_per_second"]), steady_rate(samples), by_core, peak
