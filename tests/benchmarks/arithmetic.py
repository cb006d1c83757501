"""The arithmetic behind the figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Sample = tuple[float, int]
"""Seconds on a monotonic clock, and how many events were done by then."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0..1) of the values lie, by linear interpolation between the two nearest.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("no values: nothing was measured")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def steady_rate(samples: Sequence[Sample], *, first: float = 0.1, last: float = 0.95) -> float:
    """Events a second between the moments at which ``first`` and ``last`` of all events were done.

    What comes before is the start (connections, a first batch of one), and what comes after an empty queue.

    Parameters:
        samples: in the order of time; the last one tells how many events there are.

    Raises:
        ValueError: nothing was done, or all of it between two looks.
    """
    if len(samples) < 2 or samples[-1][1] == 0:
        raise ValueError("no events were done while they were counted")
    total = samples[-1][1]
    begin = next(sample for sample in samples if sample[1] >= first * total)
    end = next(sample for sample in samples if sample[1] >= last * total)
    if end[0] <= begin[0]:
        raise ValueError(f"{total} events were done between two looks; measure more of them")
    return (end[1] - begin[1]) / (end[0] - begin[0])


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach.

    Parameters:
        bound: inclusive.
        at_least: else at most.
    """

    bound: float
    at_least: bool

    def met(self, value: float) -> bool:
        """Whether ``value`` reaches it."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:,g}"


def at_least(bound: float) -> Target:
    """``>= bound``."""
    return Target(bound, at_least=True)


def at_most(bound: float) -> Target:
    """``<= bound``."""
    return Target(bound, at_least=False)
