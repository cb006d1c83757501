"""A worker's photo processes: batches are shared out among them, and one that dies costs a photo at most."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import structlog

from worker import images
from worker.errors import EventError, Reason, Rejected, Unavailable
from worker.events import Photo
from worker.images.guard import redact
from worker.photos.loading import Found, Loaded, Metrics, found, lacking, make_fetcher
from worker.photos.messages import LIMIT, Answer, Hello, Question, Ready, read, write
from worker.settings import Settings
from worker.start import ALLOCATIONS

log = structlog.get_logger(__name__)

_STOP_SECONDS = 3.0
"""After which a process that has nobody to answer to is killed."""

Sources = Mapping[str, Sequence[Photo]]


class DiedError(Exception):
    """A photo process ended while it had something to answer."""


class PhotoProcesses:
    """Loads photos as ``PhotoLoader`` does, in processes of its own. An async context manager.

    Each photo goes to the process that has the fewest under way. What a process had under way when it died is asked
    again in another one, alone and by halves, until the photo is found that it dies of: that one is rejected, and the
    others are none the worse.

    Parameters:
        settings: ``images`` and ``observe`` of these.

    Raises:
        ConfigurationError: a host is not written as a bare host.
    """

    def __init__(self, settings: Settings) -> None:
        make_fetcher(settings.images)
        hello = Hello(settings.images, settings.observe, settings.images.processes, ALLOCATIONS)
        self._all = [_Process(hello) for _ in range(settings.images.processes)]
        self._suspicious = _Process(hello)
        self._one_suspicion = asyncio.Lock()
        self._report = Metrics()

    async def __aenter__(self) -> Self:
        for process in self._all:
            await process.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(process.stop() for process in (*self._all, self._suspicious)))

    @property
    def pids(self) -> list[int]:
        """Of the processes that run."""
        return [process.pid for process in (*self._all, self._suspicious) if process.pid]

    async def load(self, sources: Sources, side: int, loaded: Loaded) -> Found:
        """Fetch and decode; as ``PhotoLoader.load``.

        Raises:
            Unavailable: no process can be started.
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

    def _shared_out(self, sources: Sources) -> list[tuple[_Process, dict[str, Sequence[Photo]]]]:
        under_way = [process.under_way for process in self._all]
        parts: list[dict[str, Sequence[Photo]]] = [{} for _ in self._all]
        for identity, several in sources.items():
            least = under_way.index(min(under_way))
            under_way[least] += 1
            parts[least][identity] = several
        return [(process, part) for process, part in zip(self._all, parts, strict=True) if part]

    async def _load(self, process: _Process, some: Sources, side: int, loaded: Loaded) -> None:
        try:
            await self._ask(process, some, side, loaded)
        except DiedError:
            async with self._one_suspicion:
                await self._suspect(some, side, loaded)

    async def _suspect(self, some: Sources, side: int, loaded: Loaded) -> None:
        """Nothing else is asked of this process meanwhile: if it dies, one of these photos is why."""
        try:
            await self._ask(self._suspicious, some, side, loaded)
        except DiedError:
            if len(some) == 1:
                (several,) = some.values()
                rejected = Rejected(Reason.UNUSABLE_IMAGE, "the process that loads photos died of it twice")
                loaded.update(((photo, side), rejected) for photo in several)
                self._report.failed(rejected.reason)
                log.warning("photo_kills_its_process", photos=[_name(photo) for photo in several])
                return
            both = list(some.items())
            for half in (both[: len(both) // 2], both[len(both) // 2 :]):
                await self._suspect(dict(half), side, loaded)

    async def _ask(self, process: _Process, some: Sources, side: int, loaded: Loaded) -> None:
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


class _Process:
    """One process, started again when it is asked something after it died."""

    def __init__(self, hello: Hello) -> None:
        self._hello = hello
        self._starting = asyncio.Lock()
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self.under_way = 0

    @property
    def pid(self) -> int:
        """0 while none runs."""
        return self._process.pid if self._process is not None else 0

    def processor_seconds(self) -> float:
        if self._process is None:
            return 0.0
        try:
            # The clock of another process, see clock_getcpuclockid(3).
            return time.clock_gettime(~self._process.pid << 3 | 2)
        except OSError:  # it has just died
            return 0.0

    async def start(self) -> None:
        """Start the process, and do not wait for it: there is more to start, and questions wait for it."""
        ours, theirs = socket.socketpair()
        with theirs:
            # -P: a folder "worker" where we were started is not this package.
            command = [sys.executable, "-P", "-m", "worker.photos.process", str(theirs.fileno())]
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=LIMIT)
        self._reading = asyncio.create_task(self._read(self._process, reader))
        with contextlib.suppress(EOFError):  # it is gone already: whoever reads notices
            await write(self._writer, self._hello)

    async def ask(self, sources: list[list[Photo]], known: list[list[EventError | None]], side: int) -> Answer:
        """Ask, and wait for the answer.

        Raises:
            DiedError: the process died before it gave one.
            Unavailable: it did not even start.
        """
        async with self._starting:
            if self._process is None:
                try:
                    await self.start()
                except OSError as error:
                    raise _not_started(str(error)) from error
        if self._process is None:
            raise _not_started("it ended at once")
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self.under_way += len(sources)
        try:
            with contextlib.suppress(EOFError):  # whoever reads tells the future why
                await write(self._writer, Question(number, sources, known, side))
            return await answer
        finally:
            self.under_way -= len(sources)
            del self._asked[number]

    async def stop(self) -> None:
        """Let the process go; what it still had to answer nobody wants any more."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if self._reading is not None:
            self._reading.cancel()
        self._writer.close()
        await _end(process)

    async def _read(self, process: Process, reader: asyncio.StreamReader) -> None:
        began = False
        try:
            while True:
                message = await read(reader)
                if isinstance(message, Ready):
                    began = True
                elif (answer := self._asked.get(message.number)) is not None and not answer.done():
                    answer.set_result(message)
        except EOFError:
            self._process = None
            self._writer.close()
            lost = list(self._asked.values())  # what is asked from now on is asked of the next one
            code = await _end(process)
            log.warning("photo_process_died", pid=process.pid, exit_code=code, questions=len(lost), began=began)
            for answer in lost:
                if not answer.done():
                    answer.set_exception(DiedError() if began else _not_started(f"it ended at once, with {code}"))


def _not_started(why: str) -> Unavailable:
    return Unavailable("photos", f"no process for them: {why}")


def _name(photo: Photo) -> str:
    return "an inline photo" if photo.url is None else redact(photo.url)


def _error(result: images.Pixels | EventError | None) -> EventError | None:
    return result if isinstance(result, EventError) else None


async def _end(process: Process) -> int:
    """Wait until the process, whose socket is closed, has ended; its exit code."""
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()
