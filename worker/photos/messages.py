"""What a worker and its photo processes say to each other, over a socket that only the two of them hold."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.errors import EventError, Reason
from worker.events import Photo
from worker.images import Pixels
from worker.settings import ImageSettings, ObserveSettings

LIMIT = 8 << 20
"""Bytes that are taken off the socket at a time. A message may be longer, and is read whole."""

_LENGTH = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Hello:
    """The worker's first word: what to keep to.

    Parameters:
        share: processes that keep to these settings together.
        turns: see ``images.DecodeLimits``.
        allocations: between two looks for garbage in cycles, as in the worker.
    """

    images: ImageSettings
    observe: ObserveSettings
    share: int
    turns: Path
    allocations: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The process's first word."""


@dataclass(frozen=True, slots=True)
class Question:
    """Photos to load.

    Parameters:
        number: repeated by the answer.
        sources: where each photo may be had.
        known: for each of these, why it had nothing when it was asked before; ``None``: it was not.
        side: of the square picture, in pixels.
    """

    number: int
    sources: list[list[Photo]]
    known: list[list[EventError | None]]
    side: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nobody waits for the answer to this question any more.

    Parameters:
        number: of the question.
    """

    number: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of them.

    Parameters:
        number: of the question.
        results: for each source: pixels uint8 [side, side, 3], why there are none, or ``None``: it was not asked.
        took: stages of loading and their seconds, since the answer before.
        failed: what was wrong with sources, since the answer before.
        broken: a traceback, if this is a bug's answer; there are no results then.
    """

    number: int
    results: list[list[Pixels | EventError | None]]
    took: list[tuple[str, float]]
    failed: list[Reason]
    broken: str = ""


async def read(reader: asyncio.StreamReader) -> Any:
    """The next message.

    Raises:
        EOFError: there will be none, since the other side is gone.
    """
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return pickle.loads(await reader.readexactly(length))  # noqa: S301 - of our own other half
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError from error


def send(writer: asyncio.StreamWriter, message: object) -> None:
    """Send a message. It goes out as fast as the other side reads; to one that is gone it does not."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    writer.write(_LENGTH.pack(len(data)) + data)


async def drained(writer: asyncio.StreamWriter) -> None:
    """Wait while the other side is behind, unless it is gone: whoever reads notices that."""
    with contextlib.suppress(ConnectionError):
        await writer.drain()
