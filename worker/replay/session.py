"""A replay as a process: everything put together, until the end of every range or a signal."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

import structlog
from kafka.errors import KafkaError

from worker import service
from worker.models import Releases
from worker.models.background import BackgroundTriton
from worker.observe import http
from worker.observe.progress import Verdict
from worker.replay.books import Books
from worker.replay.pace import Rate
from worker.replay.plan import Plan, group
from worker.replay.previous import PreviousAnswers
from worker.replay.publication import ReplayPublisher
from worker.replay.release import PinnedReleases
from worker.replay.screen import Screen
from worker.replay.standing import Standing, Watch
from worker.replay.stream import BoundedStream
from worker.settings import Settings
from worker.stream import topics
from worker.stream.batching import BatchSize
from worker.stream.computation import Computation
from worker.stream.publication import Publisher
from worker.stream.topics import Topics

log = structlog.get_logger(__name__)

WARM_BATCH = 512
"""Events in a batch while the cache answers. Larger ones gain nothing more: Python's part per event dominates."""

_LOOK_SECONDS = 1.0
_NICE = 19
"""As of the command ``nice``: a hundredth of the CPU that a live process beside it gets, and all that is left over."""

_SLACK = timedelta(hours=1)
"""Clocks of publishers and workers may differ by so much."""


def of_replay(settings: Settings, replay: str) -> Settings:
    """The settings of a replay's process: a group of its own, background priority, and patience with Redis."""
    return settings.model_copy(
        update={
            "stream": settings.stream.model_copy(update={"group": group(settings, replay), "max_batch": WARM_BATCH}),
            "triton": settings.triton.model_copy(update={"priority": 2}),
            # One interpreter keeps about one core busy: what a replay may take, where live workers want the others.
            "images": settings.images.model_copy(update={"processes": min(settings.images.processes, 1)}),
            # Live, a slow Redis is passed over within 0.25 s. Here a miss costs a download, and nobody waits.
            "redis": settings.redis.model_copy(update={"timeout": max(settings.redis.timeout, 5.0)}),
        }
    )


def step_aside() -> None:
    """Let live workers, Triton and whatever else is on this machine go first, where there is not CPU enough for all.

    Decoding and Python's part take as much of it as they are given, and Triton's priorities do not reach them.
    """
    os.nice(max(0, _NICE - os.nice(0)))


@asynccontextmanager
async def _observed(settings: Settings, releases: Releases) -> AsyncIterator[None]:
    """Serve ``/metrics`` and the probes; on any free port when a worker on this machine has the usual one."""
    answers = {
        "alive": lambda: Verdict(ok=True, reason="a replay"),
        "ready": lambda: Verdict(ok=releases.loaded is not None, reason="a replay"),
    }
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(http.serve(settings.observe, **answers))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            anywhere = settings.observe.model_copy(update={"port": 0})
            await stack.enter_async_context(http.serve(anywhere, **answers))
        yield


def read_previous(settings: Settings, plan: Plan, tell: Callable[[int], None]) -> PreviousAnswers:
    """The last answers to the plan's ranges, from the topic of colours.

    Raises:
        KafkaError: Kafka does not answer.
    """
    return PreviousAnswers.read(
        settings,
        settings.topics.coloured,
        plan.topic,
        plan.ranges,
        run=plan.run,
        since=plan.since - _SLACK if plan.since is not None else None,
        tell=tell,
    )


async def run(settings: Settings, plan: Plan, previous: PreviousAnswers | None, *, rate: float | None) -> Standing:
    """Take part in a replay until it is complete, or until SIGTERM or SIGINT.

    Returns:
        How it stands at the end; if it is not complete, it was interrupted.

    Raises:
        ConfigurationError: topics are missing, or the replay's offsets are gone.
        KafkaError: Kafka refuses us.
    """
    stopping = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    live = Topics.from_settings(settings)
    await asyncio.to_thread(topics.ensure, settings, (plan.output_topic, live.replay_dead))
    names = Topics(plan.topic, plan.output_topic, (), live.replay_dead)
    ours = of_replay(settings, plan.id)

    with Watch(settings, plan) as watch:
        standing = await asyncio.to_thread(watch.look)
        if standing.complete:
            return standing
        async with (
            service.tagging(ours, partial(PinnedReleases, names=plan.release), BackgroundTriton) as models,
            _observed(ours, models.releases),
        ):
            computation = Computation(models.tagger, loop, ours.triton.retry_delay)
            publisher = Publisher(names, (), plan.run, ours.stream.max_record_bytes)
            stream = await asyncio.to_thread(
                partial(
                    BoundedStream,
                    ours,
                    plan=plan,
                    topics=names,
                    computation=computation,
                    publisher=ReplayPublisher(publisher, previous, plan.changes_only),
                    previous=previous,
                    books=Books(previous),
                    rate=Rate(rate),
                    size=BatchSize(settings.stream.max_batch, WARM_BATCH),
                )
            )
            with Screen(plan) as screen:
                watching = asyncio.create_task(asyncio.to_thread(_watch, watch, screen, computation, stopping))
                try:
                    await asyncio.to_thread(stream.run, stopping)
                finally:
                    stopping.set()
                    await watching
        return await asyncio.to_thread(watch.look)


def _watch(watch: Watch, screen: Screen, computation: Computation, stopping: threading.Event) -> None:
    """Show how the replay stands, and stop this process once all of it, everybody's part, is done."""
    while not stopping.is_set():
        try:
            standing = watch.look()
        except KafkaError as error:
            log.warning("standing_unknown", error=f"{type(error).__name__}: {error}"[:300])
        else:
            screen.show(standing, waits=computation.waits)
            if standing.complete:
                stopping.set()
        stopping.wait(_LOOK_SECONDS)
