"""The shadow itself: committed answers in, the candidate's answers beside them out, and nothing that live would feel.

It is told of an answer only after its transaction was committed, holds a bounded number of events, asks one small batch
at a time at background priority, and drops what it has no room for. Whatever the candidate does, nobody waits for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from kafka.errors import KafkaError

from worker.errors import ConfigurationError, Unavailable
from worker.events import Source
from worker.models import Release, Releases, Shadowing
from worker.observe import metrics
from worker.settings import ShadowSettings
from worker.shadow.record import ListingShadowed
from worker.shadow.sidebyside import SideBySide, Times
from worker.shadow.writer import Writer
from worker.stream.transactions import Answer
from worker.tagger import Labelled, Outcome, Tagger

log = structlog.get_logger(__name__)


class CandidateReleases(Releases):
    """The candidate, as the live worker last read it; it asks Triton nothing by itself.

    Parameters:
        live: what the worker follows.
    """

    def __init__(self, triton: SideBySide, poll: float, live: Releases) -> None:
        super().__init__(triton, poll)
        self._live = live

    async def follow(self) -> None:
        """Return at once: the live worker looks."""

    async def _read(self) -> Release:
        await self._live.refresh()
        return self._candidate()

    async def current(self) -> Release:
        """The candidate.

        Raises:
            Unavailable: nothing is shadowed any more.
        """
        return self._candidate()

    def _candidate(self) -> Release:
        shadowing = self._live.shadowing
        if shadowing is None:
            raise Unavailable("triton", "no candidate is named (any more)")
        return shadowing.release


@dataclass(frozen=True, slots=True)
class Sample:
    """One event that live has answered."""

    source: Source
    value: bytes
    live: Labelled
    candidate: Release


class Shadow:
    """Answers a sample of the committed events under the candidate.

    Parameters:
        settings: how many at once, how many may wait, how long.
        releases: the live worker's; they name the candidate.
        tagger: answers under the candidate.
        triton: what the tagger asks; it takes the times.
        writer: writes the records.
    """

    def __init__(
        self, settings: ShadowSettings, *, releases: Releases, tagger: Tagger, triton: SideBySide, writer: Writer
    ) -> None:
        self._settings = settings
        self._releases = releases
        self._tagger = tagger
        self._triton = triton
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Sample] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._wake = asyncio.Event()
        self._resting_until = 0.0

    def offer(self, answers: Sequence[Answer]) -> None:
        """Take what is in the sample and has room; from any thread, at once, and without ever raising."""
        try:
            shadowing = self._releases.shadowing
            if shadowing is not None and self._keep(self._sampled(answers, shadowing)):
                self._loop.call_soon_threadsafe(self._wake.set)
        except Exception:  # the caller has committed and must go on, whatever is wrong with this file
            log.exception("shadow_offer_failed")
            metrics.SHADOW.labels("failed").inc()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while samples := self._take():
                await self._answer(samples)

    def _sampled(self, answers: Sequence[Answer], shadowing: Shadowing) -> list[Sample]:
        return [
            Sample(answer.item.envelope.source, value, outcome, shadowing.release)
            for answer in answers
            if isinstance(outcome := answer.outcome, Labelled)
            and (value := answer.item.envelope.value) is not None
            and outcome.release != shadowing.release
            and shadowing.samples(outcome.event.listing_id)
        ]

    def _keep(self, samples: Sequence[Sample]) -> bool:
        """Put into the queue what fits, and count the rest; whether anything fitted."""
        kept = 0
        with self._lock:
            resting = time.monotonic() < self._resting_until
            for sample in samples:
                full = len(self._waiting) >= self._settings.queue or self._bytes >= self._settings.max_bytes
                if resting or full:
                    break
                self._waiting.append(sample)
                self._bytes += len(sample.value)
                kept += 1
        metrics.SHADOW.labels("dropped").inc(len(samples) - kept)
        return kept > 0

    def _take(self) -> list[Sample]:
        with self._lock:
            samples = [self._waiting.popleft() for _ in range(min(self._settings.batch, len(self._waiting)))]
            self._bytes -= sum(len(sample.value) for sample in samples)
        return samples

    async def _answer(self, samples: Sequence[Sample]) -> None:
        shadowing = self._releases.shadowing
        current = [sample for sample in samples if shadowing is not None and sample.candidate == shadowing.release]
        metrics.SHADOW.labels("dropped").inc(len(samples) - len(current))
        if not current:
            return
        try:
            with self._triton.timed(current[0].live.release) as times:
                async with asyncio.timeout(self._settings.timeout):
                    outcomes = await self._tagger.tag([sample.value for sample in current])
            await self._write(current, outcomes, times)
        except (Unavailable, TimeoutError) as error:
            self._rest("failed", len(current), f"{type(error).__name__}: {error}")
        except Exception as error:  # a bug, or an answer that no release should give: live does not depend on it
            log.exception("shadow_failed", events=len(current))
            self._rest("failed", len(current), type(error).__name__)

    async def _write(self, samples: Sequence[Sample], outcomes: Sequence[Outcome], times: Times) -> None:
        active = None if times.active is None else times.active
        metrics.SHADOW_SECONDS.labels("candidate").observe(times.candidate)
        if active is not None:
            metrics.SHADOW_SECONDS.labels("active").observe(active)
        now = datetime.now(UTC)
        records = [
            ListingShadowed.of(
                sample.source,
                sample.live,
                outcome,
                milliseconds=(None if active is None else active * 1000, times.candidate * 1000),
                batch=len(samples),
                now=now,
            )
            for sample, outcome in zip(samples, outcomes, strict=True)
            if isinstance(outcome, Labelled) and outcome.release == sample.candidate
        ]
        metrics.SHADOW.labels("unanswered").inc(len(samples) - len(records))
        if not records:
            return
        try:
            await asyncio.to_thread(self._writer.write, records)
        except (KafkaError, ConfigurationError) as error:
            self._rest("unwritten", len(records), f"{type(error).__name__}: {error}")
            return
        different = sum(record.differs for record in records)
        metrics.SHADOW.labels("different").inc(different)
        metrics.SHADOW.labels("same").inc(len(records) - different)

    def _rest(self, result: str, events: int, cause: str) -> None:
        """Leave a broken candidate alone for a while; what comes meanwhile is dropped."""
        metrics.SHADOW.labels(result).inc(events)
        log.warning("shadow_rests", result=result, events=events, seconds=self._settings.pause, cause=cause[:300])
        with self._lock:
            self._resting_until = time.monotonic() + self._settings.pause
            metrics.SHADOW.labels("dropped").inc(len(self._waiting))
            self._waiting.clear()
            self._bytes = 0
