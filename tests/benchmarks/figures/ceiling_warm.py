"""Worker ceiling, warm: how much of kafka-python's own rate is left when every embedding is cached."""

from __future__ import annotations

from tests.benchmarks import events, models
from tests.benchmarks.arithmetic import Sample, at_least, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row

EVENTS = 30_000


def measure(field: Field) -> list[Row]:
    """One worker on a warm cache, over kafka-python alone on the same records; and the worker's rate by CPU time."""
    listings = by_address(field.photos_url, field.photo_names, EVENTS)
    events.warm(field.stack.redis.url, models.release(field.standin.repository), listings)
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
    rate = steady_rate(samples)
    by_core = (after[1] - before[1]) / (after[0] - before[0])
    parts = {
        "worker, events/s": rate,
        "kafka-python alone, records/s": alone["records_per_second"],
        "worker, events per CPU second": by_core,
        "peak memory, MB": peak,
    }
    return [
        Row(
            "worker ceiling, warm",
            rate / alone["records_per_second"],
            at_least(0.4),
            parts=parts,
            note="one worker process, stand-in head; kafka-python alone consumes them and produces answers as long as "
            "ours, without transactions",
        ),
        Row("worker ceiling, warm: rate", by_core, at_least(3_000), "events per CPU second", parts={"events/s": rate}),
    ]
