"""Cold share: what is left of Triton's own rate when everything around it runs too."""

from __future__ import annotations

from tests.benchmarks.arithmetic import at_least, steady_rate
from tests.benchmarks.events import by_address
from tests.benchmarks.field import Field
from tests.benchmarks.report import Row

_EVENTS = 600


def measure(field: Field) -> list[Row]:
    """Events a second end to end with the real encoder, over images a second of the same Triton driven directly."""
    direct = field.child("tests.benchmarks.baselines.triton_alone", field.encoder.grpc)
    with field.fleet(field.encoder) as fleet:
        fleet.publish(by_address(field.photos_url, field.photo_names, _EVENTS))
        (worker,) = fleet.start()
        before = worker.cpu_seconds(), fleet.committed()
        rate = steady_rate(fleet.watch(_EVENTS))
        spent = (worker.cpu_seconds() - before[0]) / (_EVENTS - before[1]) * 1000
    return [
        Row(
            "cold share",
            rate / direct["images_per_second"],
            at_least(0.85),
            parts={
                "end to end, events/s": rate,
                "Triton driven directly, images/s": direct["images_per_second"],
                "at its best batch of": direct["batch"],
                "worker's CPU, ms an event": spent,
            },
            note="the project's own encoder on the processor: fetching, decoding, the broker and the photo host take "
            "their share of the same cores, which a GPU would not share",
        )
    ]
