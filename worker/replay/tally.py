"""What became of a partition's records so far: counts that travel beside its committed offset."""

from __future__ import annotations

import base64
import zlib
from typing import Self

import numpy as np
import numpy.typing as npt

from worker.colours import Colour
from worker.replay.previous import COLOURS, Last

OUTCOMES = ("labelled", "uncertain", "withheld", "postponed", "rejected", "skipped")
"""labelled and uncertain were published; withheld are equal to the last answer (``--changes-only``); postponed and
rejected got a dead letter; skipped were not selected."""

_MOVES = (len(COLOURS) + 1) * len(COLOURS)
_SIZE = len(OUTCOMES) + _MOVES
_VERSION = "1:"


class Tally:
    """Counts of outcomes, and of moves from the last colour (or none) to the new one.

    A committed offset carries up to 4096 bytes of metadata (Kafka's ``offset.metadata.max.bytes``). 348 counters of 32
    bits make 1392 bytes, at most 1880 in base64, so they fit uncompressed; and what is committed in the transaction
    that commits the offset counts every record exactly once, over kills, resumes and any number of processes.
    """

    def __init__(self, counters: npt.NDArray[np.uint64] | None = None) -> None:
        self._counters = np.zeros(_SIZE, dtype=np.uint64) if counters is None else counters

    @classmethod
    def decode(cls, metadata: str | None) -> Self:
        """Read what ``encode`` wrote; nothing is an empty tally.

        Raises:
            ValueError: it is something else.
        """
        if not metadata:
            return cls()
        if not metadata.startswith(_VERSION):
            raise ValueError(f"no tally of this version: {metadata[:20]!r}")
        try:
            raw = zlib.decompress(base64.b64decode(metadata[len(_VERSION) :], validate=True))
        except zlib.error as error:
            raise ValueError(f"a damaged tally: {error}") from None
        counters = np.frombuffer(raw, dtype="<u4")
        if len(counters) != _SIZE:
            raise ValueError(f"a tally of {len(counters)} counters instead of {_SIZE}")
        return cls(counters.astype(np.uint64))

    def encode(self) -> str:
        """ASCII of at most 2 kB."""
        raw = self._counters.astype("<u4").tobytes()
        return _VERSION + base64.b64encode(zlib.compress(raw, 6)).decode()

    def copy(self) -> Tally:
        """Another of the same counts."""
        return Tally(self._counters.copy())

    def __add__(self, other: Tally) -> Tally:
        return Tally(self._counters + other._counters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and bool(np.array_equal(self._counters, other._counters))

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __getitem__(self, outcome: str) -> int:
        return int(self._counters[OUTCOMES.index(outcome)])

    @property
    def total(self) -> int:
        """All records."""
        return int(self._counters[: len(OUTCOMES)].sum())

    @property
    def answered(self) -> int:
        """The records that were selected."""
        return self.total - self["skipped"]

    def count(self, outcome: str, number: int = 1) -> None:
        """So many more records had this outcome."""
        self._counters[OUTCOMES.index(outcome)] += np.uint64(number)

    def move(self, last: Last | None, new: Colour) -> None:
        """A label went from the last answer's colour to ``new``."""
        row = 0 if last is None else COLOURS.index(last.colour) + 1
        self._counters[len(OUTCOMES) + row * len(COLOURS) + COLOURS.index(new)] += np.uint64(1)

    def grid(self) -> npt.NDArray[np.int64]:
        """Events by last colour (rows; the first one: no answer before) and new colour, int64 [19, 18]."""
        return self._counters[len(OUTCOMES) :].reshape(len(COLOURS) + 1, len(COLOURS)).astype(np.int64)
