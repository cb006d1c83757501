"""A worker's photo processes: batches are shared out among them, and one that dies costs a photo at most."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from worker import images
from worker.errors import EventError, Postponed, Reason, Rejected, Unavailable
from worker.events import Photo
from worker.images.guard import redact
from worker.photos.loading import Found, Loaded, Metrics, found, lacking, make_fetcher
from worker.photos.messages import LIMIT, Answer, Cancelled, Hello, Question, Ready, drained, read, send
from worker.settings import Settings
from worker.start import ALLOCATIONS

log = structlog.get_logger(__name__)

_STOP_SECONDS = 3.0
"""After which a process that has nobody to answer to is killed."""

_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})
"""What a decoder that a file has led astray ends with."""

Sources = Mapping[str, Sequence[Photo]]


class DiedError(Exception):
    """A photo process was ended by a signal while it had something to answer.

    Parameters:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.strsignal(number) or f"signal {number}")
        self.crashed = number in _CRASHES


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
        self._all = [_Process(hello, self._turns) for _ in range(count)]
        self._suspicious = _Process(hello, self._turns)
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


@dataclass(slots=True)
class _Running:
    """A process that was started, our end of its socket, and what it has to answer."""

    process: Process
    writer: asyncio.StreamWriter
    asked: dict[int, asyncio.Future[Answer]]
    reading: asyncio.Task[None] | None = None


class _Process:
    """One process, started again when it ended, and when it is asked something while none runs."""

    def __init__(self, hello: Hello, turns: int) -> None:
        self._hello = hello
        self._turns = turns
        self._starting = asyncio.Lock()
        self._running: _Running | None = None
        self._numbers = itertools.count()
        self.under_way = 0

    @property
    def pid(self) -> int:
        """0 while none runs."""
        running = self._running
        return 0 if running is None else running.process.pid

    def processor_seconds(self) -> float:
        if not (pid := self.pid):
            return 0.0
        try:
            # The clock of another process, see clock_getcpuclockid(3).
            return time.clock_gettime(~pid << 3 | 2)
        except OSError:  # it has just ended
            return 0.0

    async def start(self) -> None:
        """Start the process if none runs, and do not wait for it: questions may.

        Raises:
            Unavailable: the system lets none be started.
        """
        async with self._starting:
            if self._running is None:
                try:
                    self._running = await self._started()
                except (OSError, RuntimeError) as error:  # asyncio watches each process in a thread, which may fail too
                    raise _not_started(str(error)) from error

    async def ask(self, sources: list[list[Photo]], known: list[list[EventError | None]], side: int) -> Answer:
        """Ask, and wait for the answer.

        Raises:
            DiedError: the process was killed, or crashed, before it gave one.
            Unavailable: it ended by itself, or did not even start.
        """
        await self.start()
        if (running := self._running) is None:
            raise _not_started("it ended at once")
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        running.asked[number] = answer
        self.under_way += len(sources)
        try:
            send(running.writer, Question(number, sources, known, side))
            await drained(running.writer)
            return await answer
        except asyncio.CancelledError:
            send(running.writer, Cancelled(number))
            raise
        finally:
            self.under_way -= len(sources)
            del running.asked[number]

    async def stop(self) -> None:
        """Let the process go; what it still had to answer nobody wants any more."""
        async with self._starting:
            running, self._running = self._running, None
        if running is not None:
            if running.reading is not None:
                running.reading.cancel()
            running.writer.close()
            await _end(running.process)

    async def _started(self) -> _Running:
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    # -P: a folder "worker" where we were started is not this package.
                    *(sys.executable, "-P", "-m", "worker.photos.process", str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[theirs.fileno(), self._turns],
                    # Who decodes strangers' files need not know our passwords.
                    env={name: value for name, value in os.environ.items() if not name.startswith("COLOUR_")},
                )
            undo.callback(_kill, process)
            reader, writer = await asyncio.open_connection(sock=ours, limit=LIMIT)
            undo.pop_all()
        running = _Running(process, writer, {})
        running.reading = asyncio.create_task(self._read(running, reader))
        send(writer, self._hello)
        return running

    async def _read(self, running: _Running, reader: asyncio.StreamReader) -> None:
        began = False
        try:
            while True:
                message = await read(reader)
                if isinstance(message, Ready):
                    began = True
                elif (answer := running.asked.get(message.number)) is not None and not answer.done():
                    answer.set_result(message)
        except EOFError:
            pass
        except Exception:  # a message that cannot be read: nothing that follows can be
            log.exception("photo_process_not_understood", pid=running.process.pid)
            _kill(running.process)
        if self._running is running:
            self._running = None
        running.writer.close()
        code = await _end(running.process)
        log.warning("photo_process_died", pid=running.process.pid, exit_code=code, questions=len(running.asked))
        for answer in running.asked.values():
            if not answer.done():
                # By a signal, once it had begun: for all we know because of what it was asked.
                answer.set_exception(DiedError(-code) if began and code < 0 else _not_started(f"it ended with {code}"))
        if began:  # who ends before that would only do so again
            with contextlib.suppress(Unavailable):  # the next photo says so, and waits
                await self.start()


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
        _kill(process)
        return await process.wait()


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
