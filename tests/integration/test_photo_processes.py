"""Photos that are loaded in processes of their own: what comes of them, and what becomes of them when one dies."""

from __future__ import annotations

import asyncio
import base64
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
from tests.support.sites import site, wire
from worker.errors import EventError, Postponed, Reason, Rejected, Unavailable
from worker.events import Photo
from worker.observe import metrics
from worker.photos import Loaded, PhotoProcesses, loading
from worker.settings import ImageSettings, Settings

SIDE = 32
COLOURS = [(220, 20, 30), (30, 80, 180), (45, 140, 60), (250, 220, 20), (120, 50, 170)]


def settings(processes: int) -> Settings:
    """Of a worker that may call this machine."""
    return Settings(images=ImageSettings(allowed_private_hosts=("127.0.0.1",), processes=processes))


def alive(pid: int) -> bool:
    """Whether there is such a process, and not only its remains."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


class Host:
    """A photo host: ``/<n>`` is a photo, ``/missing`` is not there, and ``/deadly`` is what a process dies of.

    Parameters:
        address: of the server.
    """

    def __init__(self) -> None:
        self.address = ""
        self.asked = Counter[str]()
        self.deadly: Callable[[], list[int]] = list
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
            case "deadly":
                for pid in self.deadly():
                    os.kill(pid, signal.SIGKILL)
                return web.Response(body=events.photo())
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


@asynccontextmanager
async def processes(count: int, host: Host) -> AsyncIterator[PhotoProcesses]:
    """So many; those that ask for the deadly photo die, wherever they are."""
    async with PhotoProcesses(settings(count)) as made:
        host.deadly = lambda: made.pids
        yield made


async def test_they_load_what_the_worker_itself_would(host: Host) -> None:
    inline = Photo(data=base64.b64encode(events.photo(COLOURS[3])).decode())
    sources = host.photos(*range(20), "missing", "refused", "garbage") | {"inline": [inline]}
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


async def test_a_photo_that_kills_its_process_is_rejected_and_costs_no_other(host: Host) -> None:
    async with processes(2, host) as several:
        await several.load(host.photos(0, 1), SIDE, {})  # both run
        before = set(several.pids)
        batches = [host.photos(*range(10), "deadly"), host.photos(*range(10, 20)), host.photos("deadly")]
        results = await asyncio.gather(*(several.load(batch, SIDE, {}) for batch in batches))
        assert [pixels.keys() for pixels, _ in results] == [
            {str(number) for number in range(10)},
            {str(number) for number in range(10, 20)},
            set(),
        ]
        errors = [error for _, failures in results for error in failures.values()]
        assert [(type(error), error.reason) for error in errors] == [(Rejected, Reason.UNUSABLE_IMAGE)] * 2
        pixels, _ = await several.load(host.photos(*range(20, 24)), SIDE, {})
        assert len(pixels) == 4
        assert not before & set(several.pids)


async def test_a_process_that_somebody_kills_costs_nothing(host: Host) -> None:
    async with processes(2, host) as several:
        await several.load(host.photos(0, 1), SIDE, {})
        for round_ in range(5):
            loading_now = asyncio.create_task(several.load(host.photos(*range(100, 164)), SIDE, {}))
            await host.until_asked(host.asked.total() + 10)
            os.kill(several.pids[round_ % 2], signal.SIGKILL)
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
        with pytest.raises(Unavailable, match="ended at once"):
            await several.load(host.photos(1), SIDE, {})
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(Unavailable, match="No such file"):
            await several.load(host.photos(1), SIDE, {})
        monkeypatch.setattr(sys, "executable", python)
        pixels, _ = await several.load(host.photos(1), SIDE, {})
        assert pixels.keys() == {"1"}


async def test_they_end_with_their_worker_though_a_host_keeps_them_waiting(host: Host) -> None:
    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        asked.set()
        await over.wait()

    asked, over = asyncio.Event(), asyncio.Event()
    async with wire(silent) as address:
        async with processes(2, host) as several:
            waiting = asyncio.create_task(several.load({"silent": [Photo(url=f"{address}/")]}, SIDE, {}))
            await asked.wait()
            pids = several.pids
            waiting.cancel()
        over.set()
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
