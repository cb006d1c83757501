"""A worker's photo processes: batches are shared out among them, and one that dies costs a photo at most."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from worker import images
from worker.errors import EventError, Postponed, Reason, Rejected, Unavailable
from worker.events import Photo
from worker.images.guard import redact
from worker.photos.handle import DiedError, ProcessHandle
from worker.photos.loading import Found, Loaded, Metrics, found, lacking, make_fetcher
from worker.photos.messages import Hello
from worker.settings import Settings
from worker.start import ALLOCATIONS

log = structlog.get_logger(__name__)

Sources = Mapping[str, Sequence[Photo]]


class PhotoProcesses:
    """Loads photos as ``PhotoLoader`` does, in processes of its own. An async context manager.

    Each photo goes to the process that has the fewest under way. What a process had under way when it died is asked
    again; if it dies again, or crashed, in a process that does nothing else, and by halves, until the photo is found
    that it dies of. That one has an error then, and the others are none the worse.

    Parameters:
        settings: ``images`` and ``observe`` of these.
        early: start the processes at once, and not with the first photo.

    Raises:
        ConfigurationError: a host is not written as a bare host.
    """

    def __init__(self, settings: Settings, *, early: bool = True) -> None:
        make_fetcher(settings.images)
        wanted = settings.images
        count = min(wanted.processes, wanted.max_per_host, wanted.max_connections)
        self._early = early
        # In memory, since a container may have nowhere to write. The number means the same to those that inherit it.
        self._turns = os.memfd_create("turns")
        hello = Hello(wanted, settings.observe, count, Path(f"/proc/self/fd/{self._turns}"), ALLOCATIONS)
        self._all = [ProcessHandle(hello, self._turns) for _ in range(count)]
        self._suspicious = ProcessHandle(hello, self._turns)
        self._one_suspicion = asyncio.Lock()
        self._report = Metrics()

    async def __aenter__(self) -> Self:
        if self._early:
            for process in self._all:
                with contextlib.suppress(Unavailable):  # the first photo says so, and waits
                    await process.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(process.stop() for process in (*self._all, self._suspicious)))
        os.close(self._turns)

    @property
    def pids(self) -> list[int]:
        """Of the processes that run."""
        return [process.pid for process in (*self._all, self._suspicious) if process.pid]

    async def load(self, sources: Sources, side: int, loaded: Loaded) -> Found:
        """Fetch and decode; as ``PhotoLoader.load``.

        Raises:
            Unavailable: a process cannot be started, or ends by itself.
        """
        parts = self._shared_out(lacking(sources, side, loaded))
        asked = (self._load(process, some, side, loaded) for process, some in parts)
        # All of them, even if one fails: what the others load need not be loaded again.
        for failure in await asyncio.gather(*asked, return_exceptions=True):
            if failure is not None:
                raise failure
        return found(sources, side, loaded)

    def processor_seconds(self) -> float:
        """What all processes that live have worked so far, in seconds of processor time."""
        return sum(process.processor_seconds() for process in (*self._all, self._suspicious))

    def _shared_out(self, sources: Sources) -> list[tuple[ProcessHandle, dict[str, Sequence[Photo]]]]:
        under_way = [process.under_way for process in self._all]
        parts: list[dict[str, Sequence[Photo]]] = [{} for _ in self._all]
        for identity, several in sources.items():
            least = under_way.index(min(under_way))
            under_way[least] += 1
            parts[least][identity] = several
        return [(process, part) for process, part in zip(self._all, parts, strict=True) if part]

    async def _load(self, process: ProcessHandle, some: Sources, side: int, loaded: Loaded) -> None:
        try:
            try:
                await self._ask(process, some, side, loaded)
            except DiedError as died:
                if died.crashed:
                    raise
                # Whoever killed it, an operator or the kernel for want of memory, need not have meant these photos.
                await self._ask(process, some, side, loaded)
        except DiedError:
            async with self._one_suspicion:
                await self._suspect(some, side, loaded)

    async def _suspect(self, some: Sources, side: int, loaded: Loaded) -> None:
        """Nothing else is asked of this process meanwhile: if it dies, one of these photos is why."""
        try:
            await self._ask(self._suspicious, some, side, loaded)
        except DiedError as died:
            both = list(some.items())
            if len(both) > 1:
                for half in (both[: len(both) // 2], both[len(both) // 2 :]):
                    await self._suspect(dict(half), side, loaded)
                return
            ((_, several),) = both
            log.warning("photo_kills_its_process", photos=[_name(photo) for photo in several], signal=str(died))
            # A picture that takes too much memory now may find it free later; a crash comes again.
            kind = Rejected if died.crashed else Postponed
            error = kind(Reason.UNUSABLE_IMAGE, f"the process that loads photos died of it: {died}")
            loaded.update(((photo, side), error) for photo in several)
            self._report.failed(error.reason)
        except asyncio.CancelledError:
            # Nobody waits any more, but the photo that it dies of may be under way: not beside the next suspects.
            await self._suspicious.stop()
            raise

    async def _ask(self, process: ProcessHandle, some: Sources, side: int, loaded: Loaded) -> None:
        sources = [list(several) for several in some.values()]
        known = [[_error(loaded.get((photo, side))) for photo in several] for several in sources]
        answer = await process.ask(sources, known, side)
        for stage, seconds in answer.took:
            self._report.took(stage, seconds)
        for reason in answer.failed:
            self._report.failed(reason)
        if answer.broken:
            raise RuntimeError(f"a photo process failed:\n{answer.broken}")
        for several, results in zip(sources, answer.results, strict=True):
            loaded.update(
                ((photo, side), result) for photo, result in zip(several, results, strict=True) if result is not None
            )


def _name(photo: Photo) -> str:
    return "an inline photo" if photo.url is None else redact(photo.url)


def _error(result: images.Pixels | EventError | None) -> EventError | None:
    return result if isinstance(result, EventError) else None
