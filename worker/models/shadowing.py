"""The candidate beside the active release: named in ``release/shadow`` of ``colour_release``, with its share.

    release/shadow    image=1 text=1 head=2 share=0.1

Workers read it where they read ``release/active``, so it is switched on and off while they run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from tritonclient.grpc.model_config_pb2 import ModelConfig

from worker.errors import ConfigurationError
from worker.models.releases import Release, parse_active

SHADOW = "release/shadow"


@dataclass(frozen=True, slots=True)
class Shadowing:
    """A candidate that answers a part of the live traffic too; nobody downstream sees its answers.

    Parameters:
        release: the candidate.
        share: of the listings, above 0 and at most 1.
    """

    release: Release
    share: float

    def samples(self, listing_id: str) -> bool:
        """Whether this listing is in the sample.

        Always the same answer for the same id, in every worker: a listing's events are all in it or all out of it, and
        a larger share holds the listings of a smaller one.
        """
        number = int.from_bytes(blake2b(listing_id.encode(), digest_size=8).digest(), "big")
        return number < self.share * 2**64

    @classmethod
    def from_configs(
        cls, image: ModelConfig, text: ModelConfig, head: ModelConfig, live: ModelConfig
    ) -> Shadowing | None:
        """Read ``release/shadow``; ``None`` when nothing is shadowed.

        Raises:
            ConfigurationError: it is written in another way, or names no complete release.
        """
        value = live.parameters[SHADOW].string_value if SHADOW in live.parameters else ""
        if not value:
            return None
        versions, share = parse_shadow(value)
        return cls(Release.of_versions(image, text, head, versions), share)


def parse_shadow(value: str) -> tuple[dict[str, str], float]:
    """``"image=1 text=1 head=2 share=0.1"`` -> the versions, and 0.1.

    Raises:
        ConfigurationError: it is written in another way.
    """
    release, _, written_share = value.partition(" share=")
    try:
        share = float(written_share)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ConfigurationError(f"{SHADOW} is {value!r}; write for example 'image=3 text=1 head=7 share=0.1'")
    return parse_active(release), share


def written_shadow(versions: Mapping[str, str], share: float) -> str:
    """What ``parse_shadow`` reads."""
    return f"image={versions['image']} text={versions['text']} head={versions['head']} share={share:g}"
