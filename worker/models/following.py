"""Follows what Triton's configuration names: the active release, and the candidate beside it where there is one."""

from __future__ import annotations

import asyncio

import structlog

from worker.errors import ConfigurationError, ReleaseGone, Unavailable
from worker.models.client import HEAD_MODEL, IMAGE_MODEL, RELEASE_MODEL, TEXT_MODEL, Triton
from worker.models.releases import Release
from worker.models.shadowing import Shadowing
from worker.observe import metrics

log = structlog.get_logger(__name__)


class Releases:
    """Follows the active release.

    Parameters:
        triton: whom to ask.
        poll: seconds between two looks.
    """

    def __init__(self, triton: Triton, poll: float) -> None:
        self._triton = triton
        self._poll = poll
        self._current: Release | None = None
        self._shadowing: Shadowing | None = None
        self._misnamed = ""
        self._reading: asyncio.Task[Release] | None = None

    @property
    def loaded(self) -> Release | None:
        """The release last read, without asking."""
        return self._current

    @property
    def shadowing(self) -> Shadowing | None:
        """The candidate that answers a share of the traffic too, as last read; ``None``: there is none."""
        return self._shadowing

    async def current(self) -> Release:
        """The active release; asks Triton only when none was read yet.

        Raises:
            Unavailable: Triton does not answer, or what it serves is no complete release.
        """
        return self._current or await self.refresh()

    async def refresh(self) -> Release:
        """Ask Triton now; callers that come at the same time share one answer. Raises as ``current``."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(self._reading)

    async def follow(self) -> None:
        """Look again every ``poll`` seconds, until cancelled."""
        while True:
            try:
                await self.refresh()
            except Unavailable as error:
                log.warning("release_unknown", error=str(error))
            await asyncio.sleep(self._poll)

    async def _read(self) -> Release:
        try:
            configs = await asyncio.gather(
                *(self._triton.config(name) for name in (IMAGE_MODEL, TEXT_MODEL, HEAD_MODEL, RELEASE_MODEL))
            )
            release = Release.from_configs(*configs)
        except (ReleaseGone, ConfigurationError) as error:
            raise Unavailable("triton", str(error)) from error
        if release != self._current:
            log.info("release_active", **release.names.model_dump(), previous=self._current is not None)
            metrics.RELEASE.clear()
            metrics.RELEASE.labels(**release.names.model_dump()).set(1)
            self._current = release
        try:
            self._shadow(Shadowing.from_configs(*configs))
        except ConfigurationError as error:
            # The candidate's trouble is none of the active release's: it is told once, and nothing is shadowed.
            if str(error) != self._misnamed:
                self._misnamed = str(error)
                log.warning("shadow_unusable", error=self._misnamed)
            self._shadow(None)
        return release

    def _shadow(self, shadowing: Shadowing | None) -> None:
        if shadowing == self._shadowing:
            return
        self._shadowing = shadowing
        metrics.SHADOW_SHARE.set(shadowing.share if shadowing else 0)
        if shadowing is None:
            log.info("shadow_off")
        else:
            log.info("shadow_on", share=shadowing.share, **shadowing.release.names.model_dump())
