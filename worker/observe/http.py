"""``/healthz``, ``/readyz`` and ``/metrics`` over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from worker.observe.progress import Verdict
from worker.settings import ObserveSettings

log = structlog.get_logger(__name__)


@asynccontextmanager
async def serve(
    settings: ObserveSettings, *, alive: Callable[[], Verdict], ready: Callable[[], Verdict]
) -> AsyncIterator[int]:
    """Serve until the context ends; yields the port.

    Raises:
        OSError: the port is taken.
    """
    app = web.Application()
    app.router.add_get("/healthz", _answer(alive))
    app.router.add_get("/readyz", _answer(ready))
    app.router.add_get("/metrics", _metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        port: int = runner.addresses[0][1]
        log.info("observable", address=f"http://{settings.host}:{port}/metrics")
        yield port
    finally:
        await runner.cleanup()


def _answer(judge: Callable[[], Verdict]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        verdict = judge()
        return web.json_response({"ok": verdict.ok, "reason": verdict.reason}, status=200 if verdict.ok else 503)

    return handle


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
