"""Photos that are loaded in processes of their own: what comes of them, and what becomes of them when one dies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import pickle
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from tests.support import events
from tests.support.sites import site
from tests.unit.images.pictures import encode, plain
from worker.errors import EventError, Postponed, Reason, Rejected, Unavailable
from worker.events import Photo
from worker.observe import metrics
from worker.photos import Loaded, PhotoProcesses, loading
from worker.settings import ImageSettings, Settings

SIDE = 32
COLOURS = [(220, 20, 30), (30, 80, 180), (45, 140, 60), (250, 220, 20), (120, 50, 170)]


LARGE = encode(plain("RGB", (45, 140, 60), (4000, 3500)), "PNG")
"""Decoding it takes more than a third of the memory that all processes together may take."""


def settings(processes: int, *, max_per_host: int = 32) -> Settings:
    """Of a worker that may call this machine."""
    images = ImageSettings(allowed_private_hosts=("127.0.0.1",), processes=processes, max_per_host=max_per_host)
    return Settings(images=images)


def alive(pid: int) -> bool:
    """Whether there is such a process, and not only its remains."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def environment(pid: int) -> str:
    """Of a process, as it was started."""
    return Path(f"/proc/{pid}/environ").read_text()


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def askers(request: web.Request, pids: list[int]) -> list[int]:
    """Which of these processes sent a request, if it still lives: the one with the other end of the connection."""
    assert request.transport is not None
    _, port = request.transport.get_extra_info("peername")
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1] == f"0100007F:{port:04X}"}
    return [pid for pid in pids if inodes & sockets(pid)]


def sockets(pid: int) -> set[str]:
    """What a process has open."""
    found = set()
    with contextlib.suppress(FileNotFoundError):  # it is gone
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.add(str(file.readlink()))
    return found


class Host:
    """A photo host: ``/<n>`` is a photo, ``/missing`` is not there, and ``/silent`` does not come before the end.

    The decoder of ``/deadly`` crashes, and ``/greedy`` wakes the kernel's killer.
    """

    def __init__(self) -> None:
        self.address = ""
        self.asked = Counter[str]()
        self.processes: Callable[[], list[int]] = list
        self.over = asyncio.Event()
        self._more = asyncio.Condition()

    async def until_asked(self, times: int) -> None:
        """Return once so many requests have come."""
        async with self._more:
            await self._more.wait_for(lambda: self.asked.total() >= times)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        async with self._more:
            self._more.notify_all()
        match request.path.removeprefix("/"):
            case "missing":
                return web.Response(status=404)
            case "refused":
                return web.Response(status=403)
            case "garbage":
                return web.Response(body=b"no picture")
            case "deadly" | "greedy" as path:
                for pid in askers(request, self.processes()):
                    kill(pid, signal.SIGSEGV if path == "deadly" else signal.SIGKILL)
                return web.Response(body=events.photo())
            case "large":
                return web.Response(body=LARGE)
            case "silent":
                await self.over.wait()
                return web.Response(status=404)
            case number:
                return web.Response(body=events.photo(COLOURS[int(number) % len(COLOURS)]))

    def photos(self, *paths: object) -> dict[str, list[Photo]]:
        """One source each, by path."""
        return {str(path): [Photo(url=f"{self.address}/{path}")] for path in paths}


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    made = Host()
    async with site(made.answer) as address:
        made.address = address
        yield made
        made.over.set()


@asynccontextmanager
async def processes(count: int, host: Host, *, max_per_host: int = 32) -> AsyncIterator[PhotoProcesses]:
    """So many; the host knows them."""
    async with PhotoProcesses(settings(count, max_per_host=max_per_host)) as made:
        host.processes = lambda: made.pids
        yield made


async def test_they_load_what_the_worker_itself_would(host: Host) -> None:
    inline = Photo(data=base64.b64encode(events.photo(COLOURS[3])).decode())
    sources = host.photos(*range(20), "large", "missing", "refused", "garbage") | {"inline": [inline]}
    sources["second"] = [*host.photos("refused")["refused"], Photo(url=f"{host.address}/1?second")]
    async with processes(3, host) as several, loading(settings(0).images) as itself:
        pixels, failures = await several.load(sources, SIDE, {})
        expected, expected_failures = await itself.load(sources, SIDE, {})
    assert pixels.keys() == expected.keys()
    assert all(np.array_equal(pixels[identity], expected[identity]) for identity in expected)
    assert {photo: repr(error) for photo, error in failures.items()} == {
        photo: repr(error) for photo, error in expected_failures.items()
    }
    assert {error.reason for error in failures.values()} == {
        Reason.PHOTO_NOT_FOUND,
        Reason.PHOTO_REFUSED,
        Reason.NOT_AN_IMAGE,
    }


async def test_a_repeated_batch_asks_again_only_for_what_was_missing_for_now(host: Host) -> None:
    sources = host.photos(1, 2, "missing", "refused")
    loaded: Loaded = {}
    async with processes(2, host) as several:
        first, _ = await several.load(sources, SIDE, loaded)
        again, failures = await several.load(sources, SIDE, loaded)
    assert host.asked == {"/1": 1, "/2": 1, "/missing": 2, "/refused": 1}
    assert first.keys() == again.keys() == {"1", "2"}
    assert sorted(type(error).__name__ for error in failures.values()) == ["Postponed", "Rejected"]


async def test_what_they_do_is_counted_in_the_worker(host: Host) -> None:
    def count(kind: str) -> float:
        (found,) = (
            sample.value
            for metric in metrics.STAGE.collect()
            for sample in metric.samples
            if sample.name.endswith("_count") and sample.labels["stage"] == kind
        )
        return found

    missing = metrics.PHOTO_FAILURES.labels(Reason.PHOTO_NOT_FOUND.value)
    for stage in ("fetch", "decode"):
        metrics.STAGE.labels(stage)
    before = count("fetch"), count("decode"), missing._value.get()
    async with processes(2, host) as several:
        await several.load(host.photos(1, 2, 3, "missing"), SIDE, {})
        assert several.processor_seconds() > 0
    assert (count("fetch"), count("decode"), missing._value.get()) == (before[0] + 4, before[1] + 3, before[2] + 1)


@pytest.mark.parametrize(("path", "kind"), [("deadly", Rejected), ("greedy", Postponed)])
async def test_a_photo_that_kills_its_process_costs_no_other(host: Host, path: str, kind: type[EventError]) -> None:
    async with processes(2, host) as several:
        await several.load(host.photos(0, 1), SIDE, {})  # both run
        before = set(several.pids)
        batches = [host.photos(*range(10), path), host.photos(*range(10, 20)), host.photos(path)]
        results = await asyncio.gather(*(several.load(batch, SIDE, {}) for batch in batches))
        assert [pixels.keys() for pixels, _ in results] == [
            {str(number) for number in range(10)},
            {str(number) for number in range(10, 20)},
            set(),
        ]
        errors = [error for _, failures in results for error in failures.values()]
        assert [(type(error), error.reason) for error in errors] == [(kind, Reason.UNUSABLE_IMAGE)] * 2
        pixels, _ = await several.load(host.photos(*range(20, 24)), SIDE, {})
        assert len(pixels) == 4
        assert before - set(several.pids)


async def test_a_batch_that_is_given_up_asks_for_nothing_more_and_leaves_its_host_free(host: Host) -> None:
    async with processes(1, host, max_per_host=1) as several:
        given_up = asyncio.create_task(several.load(host.photos("silent", 7), SIDE, {}))
        await host.until_asked(1)
        given_up.cancel()
        pixels, _ = await several.load(host.photos(1), SIDE, {})
        assert pixels.keys() == {"1"}
    assert host.asked == {"/silent": 1, "/1": 1}


async def test_a_suspicion_that_is_given_up_does_not_fall_on_others(host: Host) -> None:
    async with processes(1, host) as several:
        await several.load(host.photos(0), SIDE, {})
        given_up = asyncio.create_task(several.load(host.photos("silent"), SIDE, {}))
        await host.until_asked(2)
        kill(several.pids[0], signal.SIGSEGV)
        await host.until_asked(3)  # alone now
        suspicious = several.pids[-1]
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert not alive(suspicious)
        pixels, _ = await several.load(host.photos(1), SIDE, {})
        assert pixels.keys() == {"1"}


async def test_they_do_not_know_the_worker_s_passwords(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOUR_REDIS__PASSWORD", "hush")
    async with processes(1, host) as several:
        await several.load(host.photos(1), SIDE, {})
        assert "hush" not in environment(several.pids[0])


async def test_a_process_that_somebody_kills_costs_nothing(host: Host) -> None:
    async with processes(2, host) as several:
        await several.load(host.photos(0, 1), SIDE, {})
        for round_ in range(5):
            loading_now = asyncio.create_task(several.load(host.photos(*range(100, 164)), SIDE, {}))
            await host.until_asked(host.asked.total() + 10)
            kill(several.pids[round_ % len(several.pids)], signal.SIGKILL)
            pixels, failures = await loading_now
            assert (len(pixels), failures) == (64, {})
            while len(set(several.pids)) < 2:
                await several.load(host.photos(*range(4)), SIDE, {})


async def test_processes_that_cannot_start_are_a_neighbour_that_is_away(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = sys.executable
    monkeypatch.setattr(sys, "executable", "/bin/false")
    async with processes(1, host) as several:
        with pytest.raises(Unavailable, match="it ended"):
            await several.load(host.photos(1), SIDE, {})
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(Unavailable, match="No such file"):
            await several.load(host.photos(1), SIDE, {})
        monkeypatch.setattr(sys, "executable", python)
        pixels, _ = await several.load(host.photos(1), SIDE, {})
        assert pixels.keys() == {"1"}


async def test_they_end_with_their_worker_though_a_host_keeps_them_waiting(host: Host) -> None:
    async with processes(2, host) as several:
        waiting = asyncio.create_task(several.load(host.photos("silent"), SIDE, {}))
        await host.until_asked(1)
        pids = several.pids
    waiting.cancel()
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)


def test_an_error_of_a_photo_is_itself_again_after_a_journey() -> None:
    for error in (Rejected(Reason.NOT_AN_IMAGE, "no"), Postponed(Reason.PHOTO_TIMEOUT, "later")):
        again = pickle.loads(pickle.dumps(error))
        assert isinstance(again, EventError)
        assert (type(again), again.reason, again.message, str(again)) == (
            type(error),
            error.reason,
            error.message,
            str(error),
        )
