"""Cold share: what is left of Triton's own rate when everything around it runs too."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.arithmetic import at_least, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row

_EVENTS = 800
_ROUNDS = 2


def measure(field: Field) -> list[Row]:
    """Events a second end to end with the real encoder, over images a second of the same Triton driven directly.

    In turns, and the better round of each counts: what else the machine does only takes away.
    """
    rounds = [(_directly(field), _end_to_end(field)) for _ in range(_ROUNDS)]
    direct = max((driven for driven, _ in rounds), key=lambda driven: float(driven["images_per_second"]))
    rate, spent = max(tagged for _, tagged in rounds)
    return [
        Row(
            "cold share",
            rate / direct["images_per_second"],
            at_least(0.85),
            parts={
                "end to end, events/s": rate,
                "Triton driven directly, images/s": direct["images_per_second"],
                "at its best batch of": float(direct["batch"]),
                "worker's CPU, ms an event": spent,
            },
            note="the project's own encoder on the processor: fetching, decoding, the broker and the photo host take "
            "their share of the same cores, which a GPU would not share; the better of two rounds each, in turns",
        )
    ]


def _directly(field: Field) -> dict[str, Any]:
    return field.child("tests.benchmarks.baselines.triton_alone", field.encoder.grpc)


def _end_to_end(field: Field) -> tuple[float, float]:
    """Events a second, and milliseconds of the worker's processor time an event."""
    with field.fleet(field.encoder) as fleet:
        fleet.publish(by_address(field.photos_url, field.photo_names, _EVENTS))
        (worker,) = fleet.start()
        before = worker.cpu_seconds(), fleet.committed()
        rate = steady_rate(fleet.watch(_EVENTS))
        return rate, (worker.cpu_seconds() - before[0]) / (_EVENTS - before[1]) * 1000
