"""A round: traffic, one fault or many, and the reckoning."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

from rich.console import Console

from tests.faults.campaign.faults import Fault
from tests.faults.campaign.field import Field, Servers
from tests.faults.campaign.progress import Progress
from tests.faults.campaign.tally import written

MOST_MEGABYTES = 600.0
"""Of resident memory, for one worker at any time, whatever waits and whatever fails."""

_PATIENCE = 120.0
"""Seconds after the last event was published after which what is missing counts as lost."""

_BACKLOG_PATIENCE = 900.0
""":data:`_PATIENCE` where everything was published before the worker began."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: when it began and when it was over, monotonic seconds."""

    name: str
    began: float
    over: float


@dataclass(slots=True)
class Result:
    """What came of a round.

    Parameters:
        events: published.
        lost: without an answer.
        duplicated: answered more than once.
        disordered: outputs behind one of a later event of their partition.
        wrong: whose colour is not that of the same photo elsewhere, or that became a dead letter.
        mended: partitions in which workers ended a transaction that Kafka had left open (``worker.stream.hanging``).
        aborted: records that only ``read_uncommitted`` readers see: what transactions left that did not go through.
        died: workers that ended by themselves.
        recovery: seconds from the end of the fault to the next answer that readers saw; the longest of them.
        silence: the longest time without an answer between the first and the last.
        peak_megabytes: resident memory of the largest worker.
        strikes: what was inflicted.
    """

    name: str
    events: int = 0
    lost: int = 0
    duplicated: int = 0
    disordered: int = 0
    wrong: int = 0
    mended: int = 0
    aborted: int = 0
    died: int = 0
    recovery: float = 0.0
    silence: float = 0.0
    peak_megabytes: float = 0.0
    seconds: float = 0.0
    strikes: list[Strike] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether every promise was kept."""
        broken = self.lost or self.duplicated or self.disordered or self.wrong or self.died
        return not broken and self.peak_megabytes < MOST_MEGABYTES


def single(
    servers: Servers, folder: Path, fault: Fault, *, events: int, rate: float, chance: Random, console: Console
) -> Result:
    """One fault in the midst of steady traffic."""
    plan = [(events // 5, fault)]
    return _round(servers, folder, fault.name, plan, events=events, rate=rate, chance=chance, console=console)


def soak(
    servers: Servers,
    folder: Path,
    plan: list[tuple[int, Fault]],
    *,
    events: int,
    rate: float,
    chance: Random,
    console: Console,
) -> Result:
    """Many faults, each as soon as so many events are answered.

    At a steady rate: as fast as the workers can, all that may be published during a fault would be answered before it
    is over.
    """
    return _round(servers, folder, "soak", plan, events=events, rate=rate, chance=chance, console=console)


def waiting(servers: Servers, folder: Path, *, events: int, console: Console) -> Result:
    """No fault but success: everything was published before the one worker begins."""
    ground = Field(servers, folder, workers=0)
    result = Result("waiting")
    began = time.monotonic()
    try:
        with Progress(console, "waiting", events=events, faults=0, look=lambda: (ground.tally.answered, 0)):
            ground.begin(events, math.inf, max_ahead=events)
            assert ground.traffic is not None
            ground.traffic.join()
            ground.add()
            _settle(ground, result, _BACKLOG_PATIENCE)
    finally:
        ground.close()
    result.seconds = time.monotonic() - began
    return result


def draw(faults: tuple[Fault, ...], *, events: int, every: int, chance: Random) -> list[tuple[int, Fault]]:
    """A random sequence of faults: every fault once before any comes again, one for each ``every`` events."""
    plan: list[tuple[int, Fault]] = []
    deck: list[Fault] = []
    for answered in range(every // 2, events - every // 2 + 1, every):
        deck = deck or chance.sample(faults, len(faults))
        plan.append((answered, deck.pop()))
    return plan


def _round(
    servers: Servers,
    folder: Path,
    name: str,
    plan: list[tuple[int, Fault]],
    *,
    events: int,
    rate: float,
    chance: Random,
    console: Console,
) -> Result:
    ground = Field(servers, folder)
    result = Result(name)
    began = time.monotonic()
    try:
        with Progress(
            console, name, events=events, faults=len(plan), look=lambda: (ground.tally.answered, len(result.strikes))
        ):
            ground.begin(events, rate)
            _inflict(ground, plan, result, events=events, chance=chance, console=console)
            _settle(ground, result, _PATIENCE)
    finally:
        ground.close()
    result.seconds = time.monotonic() - began
    return result


def _inflict(
    ground: Field, plan: list[tuple[int, Fault]], result: Result, *, events: int, chance: Random, console: Console
) -> None:
    thresholds = [*(answered for answered, _ in plan), events, events]
    for position, (answered, fault) in enumerate(plan):
        # Every fault shall meet traffic: what is published while it lasts ends halfway to the fault after the next.
        ground.allow(sum(thresholds[position + 1 : position + 3]) // 2)
        if not _reach(ground, answered):
            return
        if len(plan) > 1:
            console.print(f"{ground.tally.answered:>6} answered: {fault.name}", highlight=False)
        strike = time.monotonic()
        fault.inflict(ground, chance)
        result.strikes.append(Strike(fault.name, strike, time.monotonic()))
        ground.check()


def _settle(ground: Field, result: Result, patience: float) -> None:
    ground.finish(patience)
    # A duplicate that is still under way would be seen too.
    time.sleep(2)
    ground.check()
    _reckon(ground, result)


def _reach(ground: Field, answered: int) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not ground.tally.wait_for(answered, 1):
        ground.check()
        if time.monotonic() > deadline:
            return False
    return True


def _reckon(ground: Field, result: Result) -> None:
    assert ground.traffic is not None
    tally, photo_of = ground.tally, ground.traffic.photo_of
    result.events = len(photo_of)
    result.lost = len(photo_of.keys() - tally.counts.keys())
    result.duplicated = sum(count > 1 for count in tally.counts.values())
    result.disordered = tally.disordered
    result.wrong = tally.dead + _wrong(tally.colours, photo_of)
    deployment = ground.deployment
    result.aborted = written(deployment, "read_uncommitted") - written(deployment, "read_committed")
    result.died = len(ground.died)
    result.mended = ground.count("transaction_mended")
    result.peak_megabytes = ground.peak_megabytes
    arrivals = tally.arrivals
    result.silence = max((later - earlier for earlier, later in pairwise(arrivals)), default=0.0)
    result.recovery = max(
        (
            min((at for at in arrivals if at >= strike.over), default=strike.over) - strike.over
            for strike in result.strikes
        ),
        default=0.0,
    )


def _wrong(colours: dict[str, str], photo_of: dict[str, int]) -> int:
    """Answers that differ from what most listings with the same photo got."""
    by_photo: dict[int, Counter[str]] = {}
    for listing, colour in colours.items():
        by_photo.setdefault(photo_of[listing], Counter())[colour] += 1
    return sum(found.total() - max(found.values()) for found in by_photo.values())
