"""The worker as a process: everything put together, signals, start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from worker.cache import EmbeddingCache
from worker.models import Releases, Triton
from worker.observe import http
from worker.observe.progress import Progress
from worker.photos import PhotoLoader, PhotoProcesses, loading
from worker.settings import Settings, TritonSettings
from worker.shadow.shadow import CandidateReleases, Shadow
from worker.shadow.sidebyside import SideBySide
from worker.shadow.writer import Writer
from worker.stream import topics
from worker.stream.computation import Computation
from worker.stream.consumer import Stream
from worker.stream.publication import Publisher
from worker.stream.topics import Topics
from worker.tagger import Tagger

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Models:
    """A tagger and what it follows."""

    tagger: Tagger
    releases: Releases


@asynccontextmanager
async def tagging(
    settings: Settings,
    make_releases: Callable[[Triton, float], Releases] = Releases,
    make_triton: Callable[[TritonSettings], Triton] = Triton,
    *,
    early: bool = True,
) -> AsyncIterator[Models]:
    """A tagger with its fetcher, cache and Triton, open until the context ends.

    Parameters:
        make_releases: what decides which release answers; by default the active one does.
        make_triton: how Triton is asked; by default as for live traffic.
        early: whether photos will come soon: what loads them is started at once.
    """
    async with AsyncExitStack() as stack:
        # First, since they take longest to start.
        photos: PhotoLoader | PhotoProcesses
        if settings.images.processes:
            photos = await stack.enter_async_context(PhotoProcesses(settings, early=early))
        else:
            photos = await stack.enter_async_context(loading(settings.images))
        triton = await stack.enter_async_context(make_triton(settings.triton))
        embeddings = EmbeddingCache(settings.redis)
        stack.push_async_callback(embeddings.aclose)
        releases = make_releases(triton, settings.triton.release_poll)
        following = asyncio.create_task(releases.follow())
        stack.push_async_callback(_cancel, following)
        tagger = Tagger(settings.tagger, photos=photos, embeddings=embeddings, triton=triton, releases=releases)
        yield Models(tagger, releases)


@asynccontextmanager
async def shadowing(settings: Settings, live: Releases) -> AsyncIterator[Shadow]:
    """A shadow with a tagger of its own, at work until the context ends.

    Parameters:
        live: what the worker follows.
    """
    ours = settings.model_copy(
        update={
            "triton": settings.triton.model_copy(update={"priority": 2, "request_timeout": settings.shadow.timeout}),
            "images": settings.images.model_copy(
                update={
                    "processes": 1,
                    "decode_threads": 1,
                    "max_per_host": 4,
                    "max_connections": settings.shadow.batch,
                }
            ),
        }
    )
    triton = SideBySide(ours.triton)

    def candidates(_triton: Triton, poll: float) -> Releases:
        return CandidateReleases(triton, poll, live)

    writer = Writer(ours)
    async with tagging(ours, candidates, lambda _settings: triton, early=False) as models:
        shadow = Shadow(ours.shadow, releases=live, tagger=models.tagger, triton=triton, writer=writer)
        working = asyncio.create_task(shadow.run())
        try:
            yield shadow
        finally:
            await _cancel(working)
            await asyncio.to_thread(writer.close)


async def run(settings: Settings) -> None:
    """Tag new listings until SIGTERM or SIGINT, then drain and leave the group.

    Raises:
        ConfigurationError: topics are missing or cannot be made.
        KafkaError: Kafka refuses us.
    """
    stopping = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stopping, number)
    names = Topics.from_settings(settings)
    await asyncio.to_thread(topics.ensure, settings, names.all)

    progress = Progress(settings.stream.stall_timeout)
    async with tagging(settings) as models, shadowing(settings, models.releases) as shadow:
        computation = Computation(models.tagger, loop, settings.triton.retry_delay)
        publisher = Publisher(names, settings.stream.retry_delays, "live", settings.stream.max_record_bytes)
        async with http.serve(
            settings.observe,
            alive=lambda: progress.alive(neighbour_away=computation.waits),
            ready=lambda: progress.ready(release_loaded=models.releases.loaded is not None),
        ):
            stream = await asyncio.to_thread(
                Stream,
                settings.kafka,
                settings.stream,
                topics=names,
                computation=computation,
                publisher=publisher,
                progress=progress,
                witness=shadow.offer,
            )
            log.info("running", group=settings.stream.group, instance=settings.stream.instance, pid=os.getpid())
            await asyncio.to_thread(stream.run, stopping)
    log.info("stopped")


def _stop(stopping: threading.Event, number: int) -> None:
    log.info("stopping", signal=signal.Signals(number).name)
    stopping.set()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
