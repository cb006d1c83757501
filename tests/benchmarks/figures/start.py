"""Start: from ``colour-worker run`` to the first output that can be read, on a running stack."""

from __future__ import annotations

import time
from statistics import median

from tests.benchmarks.arithmetic import at_most
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.listening import Listener
from tests.benchmarks.report import Row

_TIMES = 3


def measure(field: Field) -> list[Row]:
    """The median of some starts, each with topics of its own and one event that waits."""
    # The broker and Triton have answered somebody before, as on a stack that runs.
    _first_output(field)
    seconds = [_first_output(field) for _ in range(_TIMES)]
    return [
        Row(
            "start",
            median(seconds),
            at_most(3),
            "s",
            parts={"fastest, s": min(seconds), "slowest, s": max(seconds)},
            note="the input topic holds one event; the worker creates the other topics, joins its group and answers",
        )
    ]


def _first_output(field: Field) -> float:
    with field.fleet(field.standin) as fleet:
        (listing,) = by_address(field.photos_url, field.photo_names, 1)
        deployment, key = fleet.deployment, listing["listing_id"]
        with Listener(deployment.bootstrap, deployment.coloured) as listener:
            fleet.publish([listing])
            begun = time.monotonic()
            fleet.workers.append(deployment.worker())
            listener.wait_for([key], timeout=60)
        return listener.arrived[key] - begun
