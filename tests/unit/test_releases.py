"""The active release, as Triton's configuration tells it."""

from __future__ import annotations

import pytest
from tritonclient.grpc.model_config_pb2 import ModelConfig

from worker.colours import Colour
from worker.errors import ConfigurationError
from worker.models import Release
from worker.models.releases import parse_active


def config(**parameters: str) -> ModelConfig:
    made = ModelConfig()
    for name, value in parameters.items():
        made.parameters[name].string_value = value
    return made


def configs(**changes: str) -> tuple[ModelConfig, ModelConfig, ModelConfig, ModelConfig]:
    live = {"release/active": "image=2 text=1 head=5"}
    head = {
        "5/fingerprint": "hhh",
        "5/image_fingerprint": "iii",
        "5/text_fingerprint": "ttt",
        "5/labels": ",".join(reversed(Colour)),
        "5/threshold": "0.5",
    }
    return (
        config(**{"2/fingerprint": "iii", "2/side": "128", "2/width": "64"}),
        config(**{"1/fingerprint": "ttt", "1/width": "64"}),
        config(**head | {name: value for name, value in changes.items() if name in head}),
        config(**live | {name: value for name, value in changes.items() if name in live}),
    )


def test_a_release_is_read_with_its_own_label_order() -> None:
    release = Release.from_configs(*configs())
    assert (release.image.version, release.image.side, release.image.width) == ("2", 128, 64)
    assert release.head.labels == tuple(reversed(Colour))
    assert release.names.head == "5@hhh"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"release/active": ""}, "release/active"),
        ({"release/active": "3"}, "write for example"),
        ({"release/active": "image=2 text=1 head=6"}, "6/image_fingerprint"),
        ({"5/image_fingerprint": "other"}, "was made for the image encoder other"),
        ({"5/labels": "red,blue"}, "2 of 18"),
        ({"5/labels": "crimson"}, "crimson"),
        ({"5/threshold": "high"}, "high"),
    ],
)
def test_an_incomplete_or_mismatched_release_is_refused(changes: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Release.from_configs(*configs(**changes))


def test_the_active_release_is_three_versions() -> None:
    assert parse_active("head=7 image=3 text=1") == {"image": "3", "text": "1", "head": "7"}
