"""An operator's questions to one Triton: load, what is loaded, how much each version was asked."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import ConfigurationError, ReleaseGone, Unavailable
from worker.models.background import BackgroundTriton
from worker.models.client import RELEASE_MODEL
from worker.models.releases import ACTIVE, parse_active
from worker.settings import TritonSettings

_LOAD_TIMEOUT = 300.0
"""Seconds; a large encoder's engine may take minutes to load, and nothing waits for it but the operator."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one version did since it was loaded.

    Parameters:
        rows: listings, photos or texts that it answered.
        runs: of the model; ``rows / runs`` is the mean batch.
        failures: requests that it refused.
        milliseconds: mean time of a request in Triton, queue included.
        last: milliseconds since 1970 of the last request; 0 for none.
    """

    rows: int
    runs: int
    failures: int
    milliseconds: float
    last: int


class Control(BackgroundTriton):
    """A connection to one Triton with the right to load. What it asks the models, it asks behind live traffic."""

    def __init__(self, settings: TritonSettings) -> None:
        super().__init__(settings.model_copy(update={"priority": 2}))

    async def load(self, model: str) -> None:
        """Read the model's folder again: new versions start, versions that the policy no longer names end.

        Any change of the configuration, even of a parameter, makes Triton start all versions of the model anew beside
        the running ones, which answer until the new ones are ready (seen with Triton 2.51): no request fails, but for
        that moment the model takes its memory twice, and its statistics begin at zero.

        Raises:
            ConfigurationError: Triton refuses; what it served before, it goes on serving.
            Unavailable: Triton does not answer.
        """
        try:
            await self._ask(self._client.load_model(model, client_timeout=_LOAD_TIMEOUT))
        except (ReleaseGone, Unavailable) as error:
            if not await self.is_live():
                raise Unavailable("triton", f"{self.address} does not answer: {error}") from None
            raise ConfigurationError(f"Triton at {self.address} does not load {model}: {error}") from None

    async def active(self) -> dict[str, str]:
        """The versions of the release that this Triton names to workers.

        Raises:
            ConfigurationError: it names none.
            ReleaseGone: ``colour_release`` is not loaded.
            Unavailable: Triton does not answer.
        """
        return parse_active((await self.config(RELEASE_MODEL)).parameters[ACTIVE].string_value)

    async def is_live(self) -> bool:
        """Whether there is a Triton at all."""
        try:
            return bool(await self._ask(self._client.is_server_live(client_timeout=self._settings.request_timeout)))
        except (ReleaseGone, Unavailable):
            return False

    async def states(self) -> dict[tuple[str, str], str]:
        """(model, version) -> ``READY``, ``LOADING``, ``UNLOADING`` or ``UNAVAILABLE`` with Triton's reason."""
        answer = await self._ask(self._client.get_model_repository_index(client_timeout=self._settings.request_timeout))
        return {(one.name, one.version): f"{one.state} {one.reason}".strip() for one in answer.models if one.version}

    async def traffic(self, model: str) -> dict[str, Traffic]:
        """By version.

        Raises:
            ReleaseGone: no version is loaded.
            Unavailable: Triton does not answer.
        """
        answer = await self._ask(
            self._client.get_inference_statistics(model, client_timeout=self._settings.request_timeout)
        )
        return {
            one.version: Traffic(
                rows=one.inference_count,
                runs=one.execution_count,
                failures=one.inference_stats.fail.count,
                milliseconds=one.inference_stats.success.ns / max(1, one.inference_stats.success.count) / 1e6,
                last=one.last_inference,
            )
            for one in answer.model_stats
        }
