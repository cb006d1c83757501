"""How two releases answered the same listings: counts only, in one pass and in bounded memory."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from math import sqrt

import numpy as np
import numpy.typing as npt

from worker.colours import Colour
from worker.events import ReleaseNames
from worker.shadow.record import ListingShadowed

COLOURS = tuple(Colour)
_AT = {colour: index for index, colour in enumerate(COLOURS)}
_EXAMPLES_PER_MOVE = 24
_NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds that Triton took for a listing's batch; NaN when none was measured."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Shift:
    """How often either release named a colour.

    Parameters:
        kept: listings for which both did.
    """

    colour: Colour
    live: int
    shadow: int
    kept: int


@dataclass
class Comparison:
    """One candidate against one active release.

    Parameters:
        live, shadow: their versions and fingerprints.
        grid: listings by the active release's colour (row) and the candidate's (column), int64 [18, 18] in the order of
            ``COLOURS``.
        uncertain: listings by whether the active (row) and the candidate (column) was uncertain, int64 [2, 2].
        timed: listings whose batch has both times.
    """

    live: ReleaseNames
    shadow: ReleaseNames
    first: datetime
    last: datetime
    grid: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(COLOURS), len(COLOURS)), np.int64))
    uncertain: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 2), np.int64))
    _milliseconds: tuple[array[float], array[float]] = field(default_factory=lambda: (array("f"), array("f")))
    _examples: dict[tuple[Colour, Colour], list[tuple[int, str, ListingShadowed]]] = field(default_factory=dict)

    def add(self, record: ListingShadowed) -> None:
        """Count one listing."""
        live, shadow = record.live, record.shadow
        self.first, self.last = min(self.first, record.shadowed_at), max(self.last, record.shadowed_at)
        self.grid[_AT[live.colour], _AT[shadow.colour]] += 1
        self.uncertain[int(live.decision == "uncertain"), int(shadow.decision == "uncertain")] += 1
        if live.milliseconds is not None and shadow.milliseconds is not None:
            self._milliseconds[0].append(live.milliseconds)
            self._milliseconds[1].append(shadow.milliseconds)
        if record.differs:
            self._keep(record)

    @property
    def listings(self) -> int:
        """All that were compared."""
        return int(self.grid.sum())

    @property
    def same(self) -> int:
        """Listings that both gave the same colour."""
        return int(np.trace(self.grid))

    @property
    def agreement(self) -> float:
        """Share of listings with the same colour, 0 to 1."""
        return self.same / self.listings

    @property
    def agreement_interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the agreement (Wilson 1927); listings count as independent."""
        n, p, z = self.listings, self.agreement, _NORMAL_95
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    @property
    def shifts(self) -> list[Shift]:
        """Every colour that either of them named, in the palette's order."""
        rows, columns, kept = self.grid.sum(axis=1), self.grid.sum(axis=0), self.grid.diagonal()
        return [
            Shift(colour, int(rows[at]), int(columns[at]), int(kept[at]))
            for at, colour in enumerate(COLOURS)
            if rows[at] or columns[at]
        ]

    @property
    def moves(self) -> list[tuple[Colour, Colour, int]]:
        """The active release's colour, the candidate's, how many listings; where they differ, the most first."""
        found = [
            (COLOURS[row], COLOURS[column], int(self.grid[row, column]))
            for row, column in np.argwhere(self.grid)
            if row != column
        ]
        return sorted(found, key=lambda move: -move[2])

    @property
    def latencies(self) -> tuple[Latency, Latency]:
        """The active release's and the candidate's: the same inputs, asked in turn at background priority.

        Waiting in Triton's queue is part of both, and the active release's queue is shared with live traffic: medians
        compare the releases, the active one's p99 tells how busy Triton was.
        """
        live, shadow = (_latency(np.frombuffer(one, np.float32)) for one in self._milliseconds)
        return live, shadow

    @property
    def timed(self) -> int:
        """Listings whose batch has both times."""
        return len(self._milliseconds[0])

    def examples(self, most: int) -> list[ListingShadowed]:
        """Listings on which the two differ, frequent moves first.

        Places are given out by d'Hondt's method over the roots of the moves' counts: the frequent ones get more, and
        leave room for the rare ones.
        """
        places = dict.fromkeys(self._examples, 0)
        due = [(-sqrt(count), at, (before, now)) for at, (before, now, count) in enumerate(self.moves)]
        heapq.heapify(due)
        while due and sum(places.values()) < most:
            _, at, move = heapq.heappop(due)
            places[move] += 1
            if places[move] < len(self._examples[move]):
                heapq.heappush(due, (-sqrt(self.moves[at][2]) / (places[move] + 1), at, move))
        return [
            record
            for before, now, _ in self.moves
            for _, _, record in sorted(self._examples[before, now], reverse=True)[: places[before, now]]
        ]

    def _keep(self, record: ListingShadowed) -> None:
        """An even sample of each move: those whose ids have the smallest digests."""
        digest = blake2b(record.event_id.encode(), digest_size=8, person=b"example").digest()
        kept = self._examples.setdefault((record.live.colour, record.shadow.colour), [])
        entry = (-int.from_bytes(digest, "big"), record.event_id, record)
        if any(other[1] == record.event_id for other in kept):
            return
        if len(kept) < _EXAMPLES_PER_MOVE:
            heapq.heappush(kept, entry)
        else:
            heapq.heappushpop(kept, entry)


def compare(records: Iterable[ListingShadowed]) -> list[Comparison]:
    """One comparison for each pair of releases, the one with the newest record first."""
    found: dict[tuple[str, ...], Comparison] = {}
    for record in records:
        live, shadow = record.live.release, record.shadow.release
        pair = (live.image, live.text, live.head, shadow.image, shadow.text, shadow.head)
        if pair not in found:
            found[pair] = Comparison(live, shadow, record.shadowed_at, record.shadowed_at)
        found[pair].add(record)
    return sorted(found.values(), key=lambda one: one.last, reverse=True)


def _latency(milliseconds: npt.NDArray[np.float32]) -> Latency:
    if not len(milliseconds):
        return Latency(float("nan"), float("nan"))
    p50, p99 = np.percentile(milliseconds, (50, 99))
    return Latency(float(p50), float(p99))
