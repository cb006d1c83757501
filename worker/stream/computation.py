"""The bridge from Kafka's threads to the tagger's event loop: patient with Triton, careful with the unexpected."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future

import structlog

from worker.errors import Reason, Rejected, Unavailable
from worker.observe import metrics
from worker.photos import Loaded
from worker.tagger import Outcome, Tagger

log = structlog.get_logger(__name__)


class Computation:
    """Computes batches on an event loop that runs in another thread.

    Parameters:
        tagger: does the work.
        loop: its event loop.
        retry_delay: seconds between attempts while a neighbour is away.
    """

    def __init__(self, tagger: Tagger, loop: asyncio.AbstractEventLoop, retry_delay: float) -> None:
        self._tagger = tagger
        self._loop = loop
        self._retry_delay = retry_delay
        self._waiting = Counter[str]()
        self._lock = threading.Lock()

    @property
    def waits(self) -> bool:
        """Whether Triton is away, which no restart of ours would bring back."""
        with self._lock:
            return self._waiting["triton"] > 0

    def processor_seconds(self) -> float:
        """What this process and those that work for it have worked so far, in seconds of processor time."""
        return time.process_time() + self._tagger.processor_seconds()

    def submit(self, values: Sequence[bytes | None]) -> Future[list[Outcome]]:
        """Begin a batch; the future holds one outcome for each value and never an error of one event."""
        return asyncio.run_coroutine_threadsafe(self._outcomes(values), self._loop)

    async def _outcomes(self, values: Sequence[bytes | None]) -> list[Outcome]:
        metrics.BATCH.observe(len(values))
        try:
            return await self._patiently(values)
        except Exception as error:  # a bug that one event brought to light must not cost the others
            log.exception("tagging_failed", events=len(values))
            if len(values) == 1:
                # An unexpected error's words may repeat the payload; they stay out of the dead letter's headers.
                return [Rejected(Reason.INTERNAL_ERROR, f"{type(error).__name__}; see the worker's log")]
        return [outcome for value in values for outcome in await self._outcomes([value])]

    async def _patiently(self, values: Sequence[bytes | None]) -> list[Outcome]:
        waiting_for = ""
        loaded: Loaded = {}
        try:
            while True:
                try:
                    if waiting_for:
                        await self._tagger.ping()
                    return await self._tagger.tag(values, loaded)
                except Unavailable as error:
                    if waiting_for != error.neighbour:
                        self._count(-1, waiting_for)
                        waiting_for = error.neighbour
                        self._count(+1, waiting_for)
                        log.warning("neighbour_away", neighbour=error.neighbour, error=str(error))
                    await asyncio.sleep(self._retry_delay)
        finally:
            self._count(-1, waiting_for)
            if waiting_for:
                log.info("neighbour_back_or_given_up", neighbour=waiting_for)

    def _count(self, change: int, neighbour: str) -> None:
        if neighbour:
            with self._lock:
                self._waiting[neighbour] += change
                metrics.UNAVAILABLE.labels(neighbour).set(int(self._waiting[neighbour] > 0))
