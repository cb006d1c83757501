"""A photo process: fetches and decodes what its worker asks for, until that is gone.

It has an interpreter, and so a lock, of its own: decoding keeps the cores busy while the worker speaks with Kafka,
Redis and Triton. And what a stranger's file does to a decoder, it does here.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import traceback
from functools import partial

import structlog

from worker import images
from worker.errors import EventError, Reason
from worker.observe import logs
from worker.photos.loading import Loaded, PhotoLoader, loading
from worker.photos.messages import LIMIT, Answer, Cancelled, Hello, Question, Ready, drained, read, send

log = structlog.get_logger(__name__)


class Notes:
    """A report that is kept until the next answer takes it along."""

    def __init__(self) -> None:
        self._took: list[tuple[str, float]] = []
        self._failed: list[Reason] = []

    def took(self, stage: str, seconds: float) -> None:
        self._took.append((stage, seconds))

    def failed(self, reason: Reason) -> None:
        self._failed.append(reason)

    def taken(self) -> tuple[list[tuple[str, float]], list[Reason]]:
        """All that was noted since this was asked last."""
        taken = self._took, self._failed
        self._took, self._failed = [], []
        return taken


async def serve(channel: socket.socket) -> None:
    """Answer questions until the other end of ``channel`` is closed."""
    reader, writer = await asyncio.open_connection(sock=channel, limit=LIMIT)
    hello: Hello = await read(reader)
    logs.configure(hello.observe)
    gc.set_threshold(hello.allocations)
    notes = Notes()
    async with loading(hello.images, notes, share=hello.share, turns=hello.turns) as loader:
        send(writer, Ready())
        answering: dict[int, asyncio.Task[None]] = {}
        while True:
            try:
                message: Question | Cancelled = await read(reader)
            except EOFError:
                # Not by the interpreter's own end: that waits for every thread that still decodes.
                os._exit(0)
            if isinstance(message, Cancelled):
                if message.number in answering:
                    answering[message.number].cancel()
                continue
            task = answering[message.number] = asyncio.create_task(_answer(message, loader, notes, writer))
            task.add_done_callback(partial(_answered, answering, message.number))


def _answered(answering: dict[int, asyncio.Task[None]], number: int, task: asyncio.Task[None]) -> None:
    del answering[number]
    if not task.cancelled() and (error := task.exception()) is not None:
        # Better no process than one that owes an answer: another one is started.
        log.error("photo_process_failed", exc_info=error)
        os._exit(1)


async def _answer(question: Question, loader: PhotoLoader, notes: Notes, writer: asyncio.StreamWriter) -> None:
    try:
        results, broken = await _results(question, loader), ""
    except Exception:  # noqa: BLE001 - a bug: the worker is told, and finds out which event it is about
        results, broken = [], traceback.format_exc()
    send(writer, Answer(question.number, results, *notes.taken(), broken))
    await drained(writer)


async def _results(question: Question, loader: PhotoLoader) -> list[list[images.Pixels | EventError | None]]:
    side = question.side
    loaded: Loaded = {
        (photo, side): error
        for several, errors in zip(question.sources, question.known, strict=True)
        for photo, error in zip(several, errors, strict=True)
        if error is not None
    }
    await loader.load({str(number): several for number, several in enumerate(question.sources)}, side, loaded)
    return [[loaded.get((photo, side)) for photo in several] for several in question.sources]


def main() -> None:
    """Serve the socket whose number is the first argument."""
    # Signals of a terminal or a service manager reach all processes; ours ends when its worker has drained and gone.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()
    with contextlib.suppress(EOFError):  # the worker went before it had said anything
        asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
