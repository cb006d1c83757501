"""While Triton is away, nobody else is bothered: a photo that was fetched is kept, and its host is not asked again."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from deploy.local.triton import TritonServer
from tests.support import events
from tests.support import release_copies as copies
from tests.support.sites import site
from worker import service
from worker.settings import ImageSettings, RedisSettings, Settings, TritonSettings
from worker.stream.computation import Computation
from worker.tagger import Labelled, Outcome

pytestmark = pytest.mark.faults

_PHOTOS = 20


@pytest.fixture
async def host() -> AsyncIterator[tuple[str, Counter[str]]]:
    """A photo host that refuses whoever asks twice, as one does that defends itself; and how often each was asked for.

    ``/late`` it has from the second request on.
    """
    asked = Counter[str]()

    async def handler(request: web.Request) -> web.Response:
        asked[request.path] += 1
        if request.path == "/late" and asked[request.path] == 1:
            return web.Response(status=404)
        served = 2 if request.path == "/late" else 1
        return web.Response(body=events.photo()) if asked[request.path] == served else web.Response(status=403)

    async with site(handler) as address:
        yield address, asked


def settings(triton: TritonServer) -> Settings:
    """Without a cache, which would help where it has the photos already."""
    return Settings(
        triton=TritonSettings(url=triton.grpc, request_timeout=1),
        redis=RedisSettings(url=""),
        images=ImageSettings(allowed_private_hosts=("127.0.0.1",)),
    )


def batch(address: str) -> list[bytes | None]:
    """A listing for each photo, and one whose photo comes late."""
    paths = [*map(str, range(_PHOTOS)), "late"]
    return [json.dumps(events.listing(path, {"url": f"{address}/{path}"})).encode() for path in paths]


def assert_each_was_fetched_once(outcomes: Sequence[Outcome], asked: Counter[str]) -> None:
    """Each listing has its colour, also the one whose photo was not there yet when it was asked for first."""
    assert [type(outcome) for outcome in outcomes] == [Labelled] * (_PHOTOS + 1)
    assert asked == {f"/{at}": 1 for at in range(_PHOTOS)} | {"/late": 2}


@pytest.mark.parametrize(("strike", "mend"), [("kill", "start"), ("pause", "resume")])
async def test_photos_are_fetched_once_however_long_triton_is_away(
    standin: TritonServer, host: tuple[str, Counter[str]], strike: str, mend: str
) -> None:
    address, asked = host
    async with service.tagging(settings(standin)) as models:
        await models.releases.current()
        await asyncio.to_thread(getattr(standin, strike))
        computation = Computation(models.tagger, asyncio.get_running_loop(), retry_delay=0.05)
        answering = asyncio.wrap_future(computation.submit(batch(address)))
        assert await asyncio.wait({answering}, timeout=5) == (set(), {answering})
        assert computation.waits
        await asyncio.to_thread(getattr(standin, mend))
        outcomes = await asyncio.wait_for(answering, 60)
    assert_each_was_fetched_once(outcomes, asked)


async def test_photos_are_fetched_once_while_triton_is_there_and_a_model_fails(
    host: tuple[str, Counter[str]], tmp_path: Path, triton_installed: None
) -> None:
    address, asked = host
    repository = copies.copy(tmp_path / "models")
    folder = repository.version("colour_head", "1")
    (folder / "model.py").write_text(
        (folder / "model.py").read_text().replace("import Head as TritonPythonModel", "import Head")
        + "\n\nclass TritonPythonModel(Head):\n"
        "    def answer(self, *inputs):\n"
        "        assert not Path(__file__).with_name('broken').exists()\n"
        "        return super().answer(*inputs)\n"
    )
    (folder / "broken").touch()
    server = TritonServer(tmp_path / "triton", repository=repository.folder)
    await asyncio.to_thread(server.start)
    try:
        async with service.tagging(settings(server)) as models:
            computation = Computation(models.tagger, asyncio.get_running_loop(), retry_delay=0.05)
            answering = asyncio.wrap_future(computation.submit(batch(address)))
            assert await asyncio.wait({answering}, timeout=3) == (set(), {answering})
            assert computation.waits
            (folder / "broken").unlink()
            outcomes = await asyncio.wait_for(answering, 60)
    finally:
        await asyncio.to_thread(server.stop)
    assert_each_was_fetched_once(outcomes, asked)
