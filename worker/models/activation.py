"""Loading, verifying, shadowing, activating and retiring releases, on one Triton or on several that share a folder.

Each change is: write the configuration at once, then tell every Triton to read it. Where one of them refuses, the
configuration that was there before is put back and read again, so that the old release goes on answering and a Triton
that restarts finds a repository that it can load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from tritonclient.grpc.model_config_pb2 import ModelConfig

from worker.errors import ConfigurationError, ReleaseGone, Unavailable
from worker.models import golden
from worker.models.client import RELEASE_MODEL
from worker.models.control import Control
from worker.models.releases import ACTIVE, Release
from worker.models.repository import ACTIVATED_AT, LOADED_AT, MODELS, PREVIOUS, Repository, Versions, written
from worker.models.shadowing import SHADOW, written_shadow

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was seen on one Triton.

    Parameters:
        address: of the Triton.
        differences: from the exported answers, one for each model.
        misnamed, misnamed_by_active: plain colours of 17; ``None`` where the two were not compared, in a rollback.
    """

    address: str
    differences: tuple[golden.Difference, ...]
    misnamed: int | None = None
    misnamed_by_active: int | None = None


class Operator:
    """What a person may do with releases.

    Parameters:
        repository: the folder that every Triton reads.
        replicas: connections to them, at least one.
        tolerance: largest difference of a golden answer.
    """

    def __init__(self, repository: Repository, replicas: Sequence[Control], *, tolerance: float) -> None:
        self._repository = repository
        self._replicas = replicas
        self._tolerance = tolerance

    async def load(self, versions: Versions) -> list[str]:
        """Serve these versions beside those that are served; what was loaded now, as ``model version``.

        Raises:
            ConfigurationError: files are missing or changed, the head was made for other encoders, or a Triton cannot
                load them. Everything is then as before.
            Unavailable: a Triton does not answer.
        """
        with self._repository.locked():
            self._repository.release(versions)
            for name, model in MODELS.items():
                self._repository.check_files(model, versions[name])
            loaded = []
            # Encoders first: a head is of no use before them.
            for name, model in MODELS.items():
                if versions[name] in self._repository.served(model) and await self._serves(model, versions[name]):
                    continue
                config, without = self._repository.config(model), self._repository.config(model)
                others = sorted(int(one) for one in self._repository.served(model) - {versions[name]})
                config.version_policy.specific.versions[:] = [*others, int(versions[name])]
                config.parameters[f"{versions[name]}/{LOADED_AT}"].string_value = _now()
                # Also where an exporter named the version before: a Triton that restarts must not stumble over it.
                without.version_policy.specific.versions[:] = others
                await self._change(model, config, otherwise=without, must_serve=versions[name])
                loaded.append(f"{model} {versions[name]}")
            return loaded

    async def verify(self, versions: Versions) -> list[Verified]:
        """Ask every Triton what a release must answer.

        Raises:
            ConfigurationError: files, fingerprints, answers or labels are wrong, or a version is not loaded.
            Unavailable: a Triton does not answer.
        """
        return await self._verify(versions, self._repository.release(self._repository.active()))

    async def activate(self, versions: Versions) -> list[Verified]:
        """Verify, then name the release: workers use it from their next look on. Raises as ``verify``."""
        with self._repository.locked():
            seen = await self.verify(versions)
            await self._name(versions)
            return seen

    async def shadow(self, versions: Versions, share: float) -> list[Verified]:
        """Verify, then let the release answer a share of the live traffic too; workers begin with their next look.

        Parameters:
            share: of the listings, above 0 and at most 1.

        Raises as ``verify``, and ``ConfigurationError`` when it is the active release.
        """
        with self._repository.locked():
            if dict(versions) == self._repository.active():
                raise ConfigurationError(f"{written(versions)} is the active release; name another one to shadow it")
            seen = await self.verify(versions)
            config = self._repository.config(RELEASE_MODEL)
            config.parameters[SHADOW].string_value = written_shadow(versions, share)
            await self._change(RELEASE_MODEL, config)
            return seen

    async def end_shadow(self) -> bool:
        """Shadow nothing any more; whether anything was.

        Raises:
            ConfigurationError: a Triton refuses.
            Unavailable: a Triton does not answer.
        """
        with self._repository.locked():
            config = self._repository.config(RELEASE_MODEL)
            if SHADOW not in config.parameters:
                return False
            del config.parameters[SHADOW]
            await self._change(RELEASE_MODEL, config)
            return True

    async def rollback(self) -> tuple[dict[str, str], list[Verified]]:
        """Activate the release before; a second rollback undoes the first. Raises as ``activate``.

        The active release is not asked anything: it may be what one flees from. So plain colours are not compared.
        """
        with self._repository.locked():
            previous = self._repository.previous()
            if previous is None:
                raise ConfigurationError(
                    f"{RELEASE_MODEL} has no {PREVIOUS}: nothing was active before {self._active_name}"
                )
            seen = await self._verify(previous, None)
            await self._name(previous)
            return previous, seen

    async def retire(self, name: str, version: str) -> None:
        """Stop serving a version; its files stay.

        Parameters:
            name: ``image``, ``text`` or ``head``.

        Raises:
            ConfigurationError: the active, the previous or the shadowed release uses it, or it is not served.
            Unavailable: a Triton does not answer.
        """
        with self._repository.locked():
            for title, release in self._repository.in_use().items():
                if release[name] == version:
                    raise ConfigurationError(
                        f"the {title} release ({written(release)}) uses {name} {version}; it stays"
                    )
            model = MODELS[name]
            config = self._repository.config(model)
            left = sorted(int(one) for one in self._repository.served(model) - {version})
            if len(left) == len(config.version_policy.specific.versions):
                raise ConfigurationError(f"{model} {version} is not served; nothing to retire")
            config.version_policy.specific.versions[:] = left
            await self._change(model, config)

    @property
    def _active_name(self) -> str:
        return written(self._repository.active())

    async def _verify(self, versions: Versions, active: Release | None) -> list[Verified]:
        candidate = self._repository.release(versions)
        for name, model in MODELS.items():
            self._repository.check_files(model, versions[name])
        return [await self._verify_on(replica, candidate, active) for replica in self._replicas]

    async def _verify_on(self, replica: Control, candidate: Release, active: Release | None) -> Verified:
        try:
            differences = await golden.compare(replica, self._repository, candidate, self._tolerance)
            misnamed = () if active is None else await golden.check_labels(replica, candidate, active)
        except ReleaseGone as error:
            raise ConfigurationError(f"not loaded at {replica.address}: {error}; run models load first") from None
        return Verified(replica.address, tuple(differences), *misnamed)

    async def _name(self, versions: Versions) -> None:
        """Make a verified release the active one."""
        active = self._repository.active()
        config = self._repository.config(RELEASE_MODEL)
        if dict(versions) != active:
            config.parameters[ACTIVE].string_value = written(versions)
            config.parameters[PREVIOUS].string_value = written(active)
            config.parameters[ACTIVATED_AT].string_value = _now()
        shadowed = self._repository.shadow()
        if shadowed is not None and shadowed[0] == versions:
            del config.parameters[SHADOW]  # it would be compared with itself
        # Also where the folder names it already: a command that was cut off may have told nobody.
        if any([await replica.active() != versions for replica in self._replicas]):
            await self._change(RELEASE_MODEL, config)

    async def _serves(self, model: str, version: str) -> bool:
        for replica in self._replicas:
            try:
                if not await replica.is_ready(model, version):
                    return False
            except ReleaseGone:
                return False
        return True

    async def _change(
        self, model: str, config: ModelConfig, *, otherwise: ModelConfig | None = None, must_serve: str | None = None
    ) -> None:
        before = otherwise or self._repository.config(model)
        self._repository.write(model, config)
        told: list[Control] = []
        try:
            for replica in self._replicas:
                told.append(replica)
                await replica.load(model)
                if must_serve is not None:
                    await _must_serve(replica, model, must_serve)
        except (ConfigurationError, ReleaseGone, Unavailable) as error:
            self._repository.write(model, before)
            for replica in told:
                await self._put_back(replica, model)
            if isinstance(error, ReleaseGone):
                raise ConfigurationError(f"{model}: {error}") from None
            raise

    async def _put_back(self, replica: Control, model: str) -> None:
        try:
            await replica.load(model)
        except (ConfigurationError, Unavailable) as error:
            # The first error is the one to tell; this replica serves what it served, and reads the file when it starts.
            log.warning("configuration_not_read_again", triton=replica.address, model=model, error=str(error))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


async def _must_serve(replica: Control, model: str, version: str) -> None:
    if not await replica.is_ready(model, version):
        raise ConfigurationError(f"Triton at {replica.address} loaded {model}, but not its version {version}")
