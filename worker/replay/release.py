"""One release answers a replay from its first event to its last, whatever is activated meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tritonclient.grpc.model_config_pb2 import ModelConfig

from worker.errors import ConfigurationError, ReleaseGone, Unavailable
from worker.events import ReleaseNames
from worker.models import Release, Releases, Triton
from worker.models.client import HEAD_MODEL, IMAGE_MODEL, RELEASE_MODEL, TEXT_MODEL
from worker.models.releases import ACTIVE, parse_active

_MODELS = {"image": IMAGE_MODEL, "text": TEXT_MODEL, "head": HEAD_MODEL}


def parse(text: str) -> dict[str, str]:
    """``"head=2"`` or ``"image=1,text=1,head=2"`` -> versions by model; what is not named is the active release's.

    Raises:
        ValueError: written in another way.
    """
    pairs = [part.split("=", 1) for part in text.split(",")]
    versions = {pair[0]: pair[-1] for pair in pairs}
    if (
        len(versions) < len(pairs)
        or not set(versions) <= set(_MODELS)
        or not all(version.isascii() and version.isdigit() for version in versions.values())
    ):
        raise ValueError(f"--release {text!r}: write for example head=2, or image=1,text=1,head=2")
    return versions


async def choose(triton: Triton, versions: Mapping[str, str]) -> Release:
    """The active release, with other versions where they are named.

    Raises:
        ConfigurationError: the versions do not belong together, or one of them is not loaded.
        Unavailable: Triton does not answer.
    """
    try:
        image, text, head = await _configs(triton)
        active = parse_active((await triton.config(RELEASE_MODEL)).parameters[ACTIVE].string_value)
        release = Release.of_versions(image, text, head, active | dict(versions))
    except ReleaseGone as error:
        raise Unavailable("triton", str(error)) from error
    for name, version in _versions(release).items():
        try:
            ready = await triton.is_ready(_MODELS[name], version)
        except ReleaseGone:
            ready = False
        if not ready:
            raise ConfigurationError(f"{_MODELS[name]} version {version} is not loaded; load it before the replay")
    return release


class PinnedReleases(Releases):
    """Always the release that the replay was begun with.

    While a version of it is not served, or is another model than it was, the replay waits: an answer of a mixture would
    be worse than none.

    Parameters:
        names: versions and fingerprints.
    """

    def __init__(self, triton: Triton, poll: float, names: ReleaseNames) -> None:
        super().__init__(triton, poll)
        self._names = names

    async def _read(self) -> Release:
        wanted = {name: value.split("@")[0] for name, value in self._names.model_dump().items()}
        try:
            image, text, head = await _configs(self._triton)
            release = Release.of_versions(image, text, head, wanted)
        except (ReleaseGone, ConfigurationError) as error:
            raise Unavailable("triton", str(error)) from error
        if release.names != self._names:
            raise Unavailable(
                "triton",
                f"the replay was begun with {self._names}, but Triton serves {release.names} under these versions",
            )
        self._current = release
        return release


async def _configs(triton: Triton) -> tuple[ModelConfig, ModelConfig, ModelConfig]:
    image, text, head = await asyncio.gather(*(triton.config(model) for model in _MODELS.values()))
    return image, text, head


def _versions(release: Release) -> dict[str, str]:
    return {"image": release.image.version, "text": release.text.version, "head": release.head.version}
