"""The command; see the package."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.local.steps import INSTALLED
from tests.faults.campaign import rounds
from tests.faults.campaign.faults import FAULTS
from tests.faults.campaign.field import Servers
from tests.faults.campaign.rounds import Result

# Whatever the output is written to: a narrower table would leave out figures.
console = Console(width=max(136, Console().width))
_CAPTION = """\
lost, doubled: events; disorder: answers behind one of a later event of their partition; wrong: other colours
than the photo got elsewhere; died: workers that ended by themselves; mended: partitions in which Kafka had left a
transaction open; aborted: records that only read_uncommitted readers see; recovery: from the end of the fault to the
next answer; silence: the longest time without one; peak: of the largest worker."""


def campaign(
    *,
    events: Annotated[int, typer.Option(min=1, help="Events of the soak; 0 faults fit into few.")] = 50_000,
    events_each: Annotated[int, typer.Option(min=100, help="Events of each single fault.")] = 3_000,
    events_waiting: Annotated[
        int, typer.Option(min=100, help="Events that wait when the one worker begins whose memory is measured.")
    ] = 100_000,
    rate: Annotated[float, typer.Option(min=1, help="Events published a second.")] = 250,
    every: Annotated[int, typer.Option(min=100, help="The soak inflicts a fault for each so many events.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Decides the soak's sequence of faults and their details.")] = 1,
    among: Annotated[
        list[str] | None, typer.Option(help="The soak draws from these faults only; may be repeated.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="These faults (or waiting, or soak); may be repeated.")] = None,
) -> None:
    """Inflict every fault on real servers and workers under traffic, then a random sequence of them.

    Prints a table; the exit code is 1 when one event was lost, doubled, out of order or wrong, a worker ended by
    itself, or one took more than 600 MB.
    """
    names = [*(fault.name for fault in FAULTS), "waiting", "soak"]
    if unknown := set(only or ()) - set(names):
        raise typer.BadParameter(f"no fault {', '.join(sorted(unknown))}; choose among {', '.join(names)}")
    drawn = tuple(fault for fault in FAULTS if not among or fault.name in among)
    if unknown := set(among or ()) - {fault.name for fault in drawn}:
        raise typer.BadParameter(f"no fault {', '.join(sorted(unknown))} for the soak")
    # SIGTERM, as from a CI runner: stop the servers all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    INSTALLED.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=INSTALLED))
    servers = Servers.under(folder)
    results: list[Result] = []
    try:
        servers.start()
        for fault in FAULTS:
            if not only or fault.name in only:
                # A generator for each, so that a fault alone behaves as it does among the others.
                chance = Random(f"{seed} {fault.name}")
                results.append(
                    rounds.single(servers, folder, fault, events=events_each, rate=rate, chance=chance, console=console)
                )
                _say(results[-1])
        if not only or "waiting" in only:
            results.append(rounds.waiting(servers, folder, events=events_waiting, console=console))
            _say(results[-1])
        if not only or "soak" in only:
            chance = Random(seed)
            plan = rounds.draw(drawn, events=events, every=every, chance=chance)
            console.print(f"soak: {len(plan)} faults, --seed {seed}", highlight=False)
            results.append(rounds.soak(servers, folder, plan, events=events, rate=rate, chance=chance, console=console))
            _say(results[-1])
    finally:
        servers.stop()
        console.print(_table(results))  # what is there, when it was interrupted
    if not all(result.sound for result in results):
        console.print(f"[red]A promise was broken.[/] Logs stay in {folder}")
        raise typer.Exit(1)
    shutil.rmtree(folder)


def _say(result: Result) -> None:
    verdict = "[green]kept[/]" if result.sound else "[red]broken[/]"
    console.print(f"{time.strftime('%H:%M:%S')} {result.name}: {verdict}, {result.seconds:.0f} s", highlight=False)


def _table(results: list[Result]) -> Table:
    table = Table(title="Faults on real servers, as read_committed readers saw them", caption=_CAPTION)
    for column in (
        "fault", "events", "lost", "doubled", "disorder", "wrong", "died", "mended", "aborted",
        "recovery s", "silence s", "peak MB",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column == "fault" else "right", no_wrap=True)
    for result in results:
        name = result.name.replace("_", " ")
        if result.name == "waiting":
            name = "all waiting before"
        if result.name == "soak":
            name = f"soak of {len(result.strikes)} faults"
            table.add_section()
        table.add_row(
            name, f"{result.events:,}", str(result.lost), str(result.duplicated), str(result.disordered),
            str(result.wrong), str(result.died), str(result.mended), str(result.aborted), f"{result.recovery:.1f}",
            f"{result.silence:.1f}", f"{result.peak_megabytes:.0f}", style=None if result.sound else "red",
        )  # fmt: skip
    return table


if __name__ == "__main__":
    typer.run(campaign)
