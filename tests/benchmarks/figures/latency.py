"""Latency: event in to output readable, at half of the cold ceiling of the same run."""

from __future__ import annotations

from tests.benchmarks import models
from tests.benchmarks.arithmetic import at_most, percentile
from tests.benchmarks.field import Field
from tests.benchmarks.figures.ceiling_cold import ceiling as cold_ceiling
from tests.benchmarks.pace import at_pace
from tests.benchmarks.report import Row
from worker.models.client import HEAD_MODEL, IMAGE_MODEL

_SECONDS = 8.0
_ALONE = 20
"""Events a second that never meet: what each of them takes, and costs, is its own."""
_ROUNDS = 3


def measure(field: Field) -> list[Row]:
    """p99 over p50, and what of the p50 is not the stand-in's waiting, in the quietest of some rounds.

    A round is long enough for some hundred events. What else a machine does only adds to a latency, and on a virtual
    one it comes and goes by the second.
    """
    ceiling = cold_ceiling(field).worker
    with field.fleet(field.standin) as fleet:
        (worker,) = fleet.start()
        at_pace(field, fleet, _ALONE, 2)
        busy = worker.cpu_seconds()
        alone = at_pace(field, fleet, _ALONE, _SECONDS)
        alone_cpu = (worker.cpu_seconds() - busy) / (_ALONE * _SECONDS)
        busy = worker.cpu_seconds()
        rounds = [at_pace(field, fleet, ceiling / 2, _SECONDS) for _ in range(_ROUNDS)]
        cpu = (worker.cpu_seconds() - busy) / (_ROUNDS * int(ceiling / 2 * _SECONDS))
    medians = [percentile(seconds, 0.5) * 1000 for seconds in rounds]
    p50 = min(medians)
    p99 = percentile(rounds[medians.index(p50)], 0.99) * 1000
    waits = models.waits(field.standin.repository)
    inference = waits[IMAGE_MODEL] + waits[HEAD_MODEL]
    parts = {
        "p50, ms": p50,
        "p99, ms": p99,
        "p50 of the worst round, ms": max(medians),
        "events/s": ceiling / 2,
        "worker's CPU, ms an event": cpu * 1000,
        f"at {_ALONE} events/s: p50, ms": percentile(alone, 0.5) * 1000,
        f"at {_ALONE} events/s: worker's CPU, ms an event": alone_cpu * 1000,
        "stand-in's waits, ms": inference,
    }
    note = (
        "from the producer's send to a read_committed poll that returns the output; 100 kB JPEG by HTTP, nothing "
        f"cached; the round of {_ROUNDS} whose p50 is lowest"
    )
    return [
        Row("latency: p99 over p50", p99 / p50, at_most(3), parts=parts, note=note),
        Row(
            "latency: own share at p50",
            p50 - inference,
            at_most(25),
            "ms",
            parts={"share of the p50": (p50 - inference) / p50},
            note="all but the stand-in's waits for image and head: Kafka three times, the photo, decoding, Redis, gRPC",
        ),
    ]
