"""The demo from beginning to end: photos, servers, a worker, listings, answers, a page."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from deploy.local import LocalStack, StackError
from deploy.local.photos import PhotoServer
from deploy.local.ports import free_ports
from deploy.local.steps import digest, step
from worker.demo import events, report
from worker.demo.ledger import Ledger
from worker.demo.listings import Listing, plan
from worker.demo.photos import shots
from worker.demo.process import WorkerProcess
from worker.demo.reader import Reader
from worker.demo.report import Run, Summary
from worker.demo.screen import Screen, duration
from worker.demo.session import Session
from worker.errors import ConfigurationError
from worker.publish.producer import ListingProducer
from worker.settings import Settings
from worker.stream import topics

_NEIGHBOURS = {
    "kafka": "COLOUR_KAFKA__BOOTSTRAP_SERVERS",
    "redis": "COLOUR_REDIS__URL",
    "triton": "COLOUR_TRITON__URL",
}
"""A server whose variable is set is the user's own, and is not started."""


def show(*, count: int, out: Path, rate: float, keep_stack: bool, timeout: float) -> None:
    """Run the demo.

    Parameters:
        count: of listings.
        out: folder for photos, page and the worker's log.
        rate: listings a second of the steady part.
        keep_stack: leave the servers running.
        timeout: seconds to wait for all answers.

    Raises:
        ConfigurationError: a server cannot be installed or started.
        Incomplete, WorkerFailed: not every listing was answered.
    """
    console = Console()
    photos = out.resolve() / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    planned = plan(count)
    stack = LocalStack(components=_components())
    # Apart from the stack: one that runs already may serve another folder.
    host = LocalStack(out.resolve() / "photo-host", components=("photos",), photos=photos)
    signal.signal(signal.SIGTERM, _end)
    try:
        _prepare(console, (stack, host), planned, photos)
        (port,) = free_ports(1)
        # The worker inherits the environment, and our own settings are read from the same.
        os.environ.update(_environment({**stack.settings(), **host.settings()}, port))
        run = _publish(console, Settings.load(), host.photos, planned, out=out.resolve(), rate=rate, timeout=timeout)
    except StackError as error:
        raise ConfigurationError(str(error)) from error
    finally:
        with console.status("Stopping the servers …"):
            host.stop_started()
            if not keep_stack:
                stack.stop_started()
    page = out / "report.html"
    report.write(run, page)
    console.print(_table(report.summarise(run), run))
    console.print(f"The page: [bold]{escape(str(page))}[/]", highlight=False)
    if keep_stack:
        console.print("The servers run on; `colour-worker stack down` stops them.", highlight=False)


def _components() -> list[str]:
    return [name for name, variable in _NEIGHBOURS.items() if variable not in os.environ]


def _end(number: int, _: object) -> None:
    """SIGTERM unwinds as Ctrl+C does, so the servers and the worker are stopped."""
    sys.exit(128 + number)


def _environment(servers: Mapping[str, str], port: int) -> Mapping[str, str]:
    """What the worker is told: where the servers are, and a demo's pace. What the user has set stays."""
    wanted = {
        **servers,
        "COLOUR_STREAM__GROUP": "colour-demo",
        # So that an event whose photo stays missing is given up while somebody watches.
        "COLOUR_STREAM__RETRY_DELAYS": "[1, 2, 3]",
        "COLOUR_OBSERVE__PORT": str(port),
    }
    return {name: value for name, value in wanted.items() if name not in os.environ or name == "COLOUR_OBSERVE__PORT"}


def _prepare(console: Console, stacks: Sequence[LocalStack], listings: Sequence[Listing], photos: Path) -> None:
    """Make the photos and start the servers, both at once."""
    started = time.monotonic()
    with (
        ThreadPoolExecutor(1) as pool,
        Progress(SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"), BarColumn(bar_width=30),
                 TextColumn("{task.fields[note]}"), console=console) as progress,
    ):  # fmt: skip
        servers = ", ".join(server.name for stack in stacks for server in stack.servers)
        starting = progress.add_task("servers", total=None, note=f"{servers} (the first time they are installed)")
        starts = pool.submit(_start, stacks)
        starts.add_done_callback(lambda _: progress.update(starting, total=1, completed=1, note=servers))
        _make_photos(progress, listings, photos)
        starts.result()
    if not console.is_terminal:
        console.print(f"photos made and {servers} ready after {time.monotonic() - started:.0f} s", highlight=False)


def _start(stacks: Sequence[LocalStack]) -> None:
    for stack in stacks:
        stack.start()


def _make_photos(progress: Progress, listings: Sequence[Listing], photos: Path) -> None:
    """Make the photos that are not there yet, and the files that only look like photos."""
    wanted = [listing.shot for listing in listings if listing.shot is not None]
    task = progress.add_task("photos", total=len(wanted), note=f"{len(wanted)} drawn, cut and recoloured")
    sources = sorted((Path(__file__).parent / "photos").glob("*.py"))
    with step(photos.parent / ".photos", digest(*sources, *(str(shot) for shot in wanted))) as due:
        if due:
            shots.make(wanted, photos, lambda count: progress.advance(task, count))
    events.write_broken_files(photos, next(photos / shot.file for shot in wanted if shot.file.endswith(".jpg")))
    progress.update(task, completed=len(wanted))


def _publish(
    console: Console,
    settings: Settings,
    host: PhotoServer,
    listings: Sequence[Listing],
    *,
    out: Path,
    rate: float,
    timeout: float,
) -> Run:
    names = topics.Topics.from_settings(settings)
    topics.ensure(settings, names.all)
    ledger = Ledger()
    with ExitStack() as context:
        with console.status("Starting the worker …"):
            worker = context.enter_context(
                WorkerProcess(f"http://{settings.observe.host}:{settings.observe.port}", out / "worker.log")
            )
        reader = context.enter_context(Reader(settings.kafka, names, ledger))
        producer = context.enter_context(
            ListingProducer(settings.kafka, names.created, max_record_bytes=settings.stream.max_record_bytes)
        )
        screen = Screen(console, ledger, {})
        session = Session(
            producer=producer,
            reader=reader,
            worker=worker,
            ledger=ledger,
            screen=screen,
            photos=host.folder,
            photos_url=host.url,
            deadline=time.monotonic() + timeout,
        )
        context.enter_context(screen.shown())
        first, again = session.run(listings, steady=len(listings) // 5, rate=rate)
    return Run(ledger, first, again, rate, datetime.now().astimezone(), host.folder)


def _table(summary: Summary, run: Run) -> Table:
    """The figures of the run, for the terminal."""
    table = Table(box=box.SIMPLE, show_header=False, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    table.add_column(style="dim")
    once = "each answered once" if summary.twice == 0 else f"{summary.twice} answered more than once"
    right = f"{summary.painted_right / summary.painted:.0%}" if summary.painted else "-"
    for row in (
        ("events in", f"{summary.events}", once),
        ("labelled", f"[green]{summary.labelled}[/]", f"{right} of {summary.painted} painted things as painted"),
        ("uncertain", f"[yellow]{summary.uncertain}[/]", "best guess below the release's threshold"),
        ("postponed", f"{summary.postponed}", "tried again later"),
        ("dead letters", f"[red]{summary.dead}[/]", "broken on purpose"),
        ("all at once", f"{summary.burst.per_second:.0f}/s", f"cache hits {run.first.rate:.0%}"),
        ("the same again", f"{summary.again.per_second:.0f}/s", f"cache hits {run.again.rate:.0%}"),
        (
            "one by one",
            duration(summary.steady.median),
            f"median at {run.rate:g} a second; 99th percentile {duration(summary.steady.p99)}",
        ),
    ):
        table.add_row(*row)
    if summary.release is not None:
        release = summary.release
        table.add_row("release", "", f"image {release.image}, text {release.text}, head {release.head}")
    return table
