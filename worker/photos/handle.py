"""The worker's end of a photo process: starting it, asking it, and noticing that it has gone."""

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
from dataclasses import dataclass

import structlog

from worker.errors import EventError, Unavailable
from worker.events import Photo
from worker.photos.messages import LIMIT, Answer, Cancelled, Hello, Question, Ready, drained, read, send

log = structlog.get_logger(__name__)

_STOP_SECONDS = 3.0
"""After which a process that has nobody to answer to is killed."""

_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})
"""What a decoder that a file has led astray ends with."""


class DiedError(Exception):
    """A photo process was ended by a signal while it had something to answer.

    Parameters:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.strsignal(number) or f"signal {number}")
        self.crashed = number in _CRASHES


@dataclass(slots=True)
class _Running:
    """A process that was started, our end of its socket, and what it has to answer."""

    process: Process
    writer: asyncio.StreamWriter
    asked: dict[int, asyncio.Future[Answer]]
    reading: asyncio.Task[None] | None = None


class ProcessHandle:
    """One process, started again when it ended, and when it is asked something while none runs.

    Parameters:
        hello: its settings.
        turns: descriptor of the file that ``hello`` names, for the process to inherit.
    """

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
