"""What is live: a release is a triple of versions, named in one parameter of ``colour_release`` in Triton.

Triton's own configuration is the only source of truth. ``release/active`` reads ``image=3 text=1 head=7``; it lies in a
model of its own, since Triton starts a model's versions anew when its configuration changes. What belongs to one
version is a parameter ``<version>/<name>`` of its model: fingerprint, side, width, labels, threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tritonclient.grpc.model_config_pb2 import ModelConfig

from worker.colours import Colour
from worker.errors import ConfigurationError
from worker.events import ReleaseNames
from worker.models.client import HEAD_MODEL, IMAGE_MODEL, RELEASE_MODEL, TEXT_MODEL

ACTIVE = "release/active"


@dataclass(frozen=True, slots=True)
class Encoder:
    """One version of an encoder.

    Parameters:
        version: Triton's version.
        fingerprint: names the encoder's weights; part of every cache key.
        width: length of its embeddings.
        side: of the square picture it takes, in pixels; 0 for text.
    """

    version: str
    fingerprint: str
    width: int
    side: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """One version of the head.

    Parameters:
        version: Triton's version.
        fingerprint: names its weights.
        labels: the colour of each output, in output order.
        threshold: an answer whose highest probability is below it is ``uncertain``.
    """

    version: str
    fingerprint: str
    labels: tuple[Colour, ...]
    threshold: float


@dataclass(frozen=True, slots=True)
class Release:
    """Three versions that were made for each other."""

    image: Encoder
    text: Encoder
    head: Head
    names: ReleaseNames = field(init=False, repr=False, compare=False)
    """As every output carries it; made once, since every output does."""

    def __post_init__(self) -> None:
        names = ReleaseNames(
            image=f"{self.image.version}@{self.image.fingerprint}",
            text=f"{self.text.version}@{self.text.fingerprint}",
            head=f"{self.head.version}@{self.head.fingerprint}",
        )
        object.__setattr__(self, "names", names)

    @classmethod
    def from_configs(cls, image: ModelConfig, text: ModelConfig, head: ModelConfig, live: ModelConfig) -> Release:
        """Read the active release out of the configurations of the three models and of ``colour_release``.

        Raises:
            ConfigurationError: a parameter is missing or wrong, or the head was made for other encoders.
        """
        return cls.of_versions(image, text, head, parse_active(_need(_parameters(live), RELEASE_MODEL, ACTIVE)))

    @classmethod
    def of_versions(
        cls, image: ModelConfig, text: ModelConfig, head: ModelConfig, versions: Mapping[str, str]
    ) -> Release:
        """The release of these versions. Raises as ``from_configs``."""
        head_values = _parameters(head)
        encoders = {
            name: _encoder(model, _parameters(config), versions[name])
            for name, model, config in (("image", IMAGE_MODEL, image), ("text", TEXT_MODEL, text))
        }
        version = versions["head"]
        for name, encoder in encoders.items():
            made_for = _need(head_values, HEAD_MODEL, f"{version}/{name}_fingerprint")
            if made_for != encoder.fingerprint:
                raise ConfigurationError(
                    f"head {version} was made for the {name} encoder {made_for}, but the release pairs it with "
                    f"version {encoder.version}, which is {encoder.fingerprint}; name a head made for that encoder"
                )
        try:
            labels = tuple(Colour(slug) for slug in _need(head_values, HEAD_MODEL, f"{version}/labels").split(","))
            threshold = float(_need(head_values, HEAD_MODEL, f"{version}/threshold"))
        except ValueError as error:
            raise ConfigurationError(f"{HEAD_MODEL} version {version}: {error}") from None
        if len(set(labels)) != len(Colour):
            raise ConfigurationError(
                f"{HEAD_MODEL} version {version} labels {len(set(labels))} of {len(Colour)} colours"
            )
        fingerprint = _need(head_values, HEAD_MODEL, f"{version}/fingerprint")
        return cls(encoders["image"], encoders["text"], Head(version, fingerprint, labels, threshold))


def parse_active(value: str) -> dict[str, str]:
    """``"image=3 text=1 head=7"`` -> ``{"image": "3", "text": "1", "head": "7"}``.

    Raises:
        ConfigurationError: it is written in another way.
    """
    pairs = dict(part.split("=", 1) for part in value.split() if "=" in part)
    if set(pairs) != {"image", "text", "head"} or not all(version.isdigit() for version in pairs.values()):
        raise ConfigurationError(f"{ACTIVE} is {value!r}; write for example 'image=3 text=1 head=7'")
    return pairs


def _parameters(config: ModelConfig) -> dict[str, str]:
    return {name: value.string_value for name, value in config.parameters.items()}


def _need(values: Mapping[str, str], model: str, name: str) -> str:
    if not values.get(name):
        raise ConfigurationError(f"{model} has no parameter {name!r}; export the repository again or add it")
    return values[name]


def _encoder(model: str, values: Mapping[str, str], version: str) -> Encoder:
    try:
        return Encoder(
            version=version,
            fingerprint=_need(values, model, f"{version}/fingerprint"),
            width=int(_need(values, model, f"{version}/width")),
            side=int(_need(values, model, f"{version}/side")) if model == IMAGE_MODEL else 0,
        )
    except ValueError as error:
        raise ConfigurationError(f"{model} version {version}: {error}") from None
