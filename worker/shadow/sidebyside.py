"""Times the candidate against the active release: the same inputs, the same batch, asked in turn.

Live requests come in other batches and at another priority, so their times would compare the traffic and not the
releases. Hence the active release is asked once more, for its time only, whenever the candidate is asked.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog

from worker.errors import ReleaseGone, Unavailable
from worker.models import Release
from worker.models.background import BackgroundTriton
from worker.settings import TritonSettings

log = structlog.get_logger(__name__)

Ask = Callable[[], Awaitable[npt.NDArray[np.float32]]]


@dataclass(slots=True)
class Times:
    """Seconds in Triton, over the requests of one batch.

    Parameters:
        active: ``None`` when the active release could not be asked.
    """

    active: float | None = 0.0
    candidate: float = 0.0


class SideBySide(BackgroundTriton):
    """A connection through which a candidate is asked; one batch at a time."""

    def __init__(self, settings: TritonSettings) -> None:
        super().__init__(settings)
        self._active: Release | None = None
        self._times = Times()
        self._candidate_first = True

    @contextmanager
    def timed(self, active: Release) -> Iterator[Times]:
        """Time what is asked within the context; whoever goes first alternates from batch to batch."""
        self._active, self._times = active, Times()
        self._candidate_first = not self._candidate_first
        try:
            yield self._times
        finally:
            self._active = None

    async def embed_images(self, version: str, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """As the client does."""
        active, ask = self._active, super().embed_images
        if active is None:
            return await ask(version, pixels)
        side, theirs = active.image.side, pixels
        if side != pixels.shape[1]:
            # How long an encoder takes does not depend on what it is shown.
            theirs = np.full((len(pixels), side, side, 3), 255, np.uint8)
        return await self._both(
            lambda: ask(version, pixels),
            None if active.image.version == version else lambda: ask(active.image.version, theirs),
        )

    async def embed_texts(self, version: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """As the client does."""
        active, ask = self._active, super().embed_texts
        if active is None:
            return await ask(version, texts)
        return await self._both(
            lambda: ask(version, texts),
            None if active.text.version == version else lambda: ask(active.text.version, texts),
        )

    async def probabilities(
        self, version: str, images: npt.NDArray[np.float32], texts: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """As the client does."""
        active, ask = self._active, super().probabilities
        if active is None:
            return await ask(version, images, texts)
        shown = _of_width(images, active.image.width)
        said = _of_width(texts, active.text.width)
        return await self._both(
            lambda: ask(version, images, texts),
            None if active.head.version == version else lambda: ask(active.head.version, shown, said),
        )

    async def _both(self, candidate: Ask, active: Ask | None) -> npt.NDArray[np.float32]:
        """The candidate's answer.

        Parameters:
            active: the same question to the active release; ``None``: it would be the same version, so one time counts
                for both.
        """
        times = self._times
        if active is not None and not self._candidate_first:
            await self._time_active(times, active)
        started = time.perf_counter()
        answer = await candidate()
        seconds = time.perf_counter() - started
        times.candidate += seconds
        if active is None and times.active is not None:
            times.active += seconds
        elif active is not None and self._candidate_first:
            await self._time_active(times, active)
        return answer

    async def _time_active(self, times: Times, active: Ask) -> None:
        started = time.perf_counter()
        try:
            await active()
        except (ReleaseGone, Unavailable) as error:
            # Its answers are not needed here; only this batch has no time of it.
            log.info("active_not_timed", error=str(error))
            times.active = None
            return
        if times.active is not None:
            times.active += time.perf_counter() - started


def _of_width(rows: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    return rows if rows.shape[1] == width else np.zeros((len(rows), width), np.float32)
