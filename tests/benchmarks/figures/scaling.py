"""Scaling: 1, 2 and 4 workers, each with a partition of its own, and what they cost one another."""

from __future__ import annotations

from deploy.local.triton import TritonServer
from tests.benchmarks import models
from tests.benchmarks.arithmetic import at_least, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row
from worker.models.client import HEAD_MODEL, IMAGE_MODEL, TEXT_MODEL

WORKERS = (1, 2, 4)
_EVENTS = 300
_WAITS = {IMAGE_MODEL: 1_500.0, TEXT_MODEL: 1.0, HEAD_MODEL: 1.0}
_ROWS = 32
"""Records in a batch, so that a batch costs every worker the same long wait."""


def measure(field: Field) -> list[Row]:
    """Events a second of n workers, over n times those of one; beyond the number of cores for information only.

    On a machine whose cores are shared with the broker, the photo host and Triton, workers that were bound by the
    processor would compete with these. So each is bound by the stand-in's wait, and what is left is what workers cost
    each other: partitions, transactions, rebalances.
    """
    slow = models.standin(field.folder / "slow-models", instances=16, waits=_WAITS)
    triton = field.serve("slow", slow)
    rates = {count: _rate(field, triton, count) for count in WORKERS}
    parts: dict[str, float | str] = {f"{count} workers, events/s": rate for count, rate in rates.items()}
    parts["cores"] = float(field.cores)
    note = "each worker is bound by the stand-in's wait of 1.5 s a batch of 32, four of them in flight"
    return [
        Row(
            f"scaling: {count} workers",
            rates[count] / (count * rates[1]),
            at_least(0.9),
            parts=parts,
            note=note,
        )
        for count in WORKERS[1:]
        if count <= field.cores
    ]


def _rate(field: Field, triton: TritonServer, count: int) -> float:
    events = _EVENTS * count * 2
    with field.fleet(triton, partitions=count, COLOUR_STREAM__MAX_BATCH=str(_ROWS)) as fleet:
        fleet.start(count)
        fleet.publish_spread(by_address(field.photos_url, field.photo_names, events))
        return steady_rate(fleet.watch(events))
