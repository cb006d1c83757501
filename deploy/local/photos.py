"""A static HTTP server of photos, as a content delivery network would serve them."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import ClassVar

from aiohttp import web

from deploy.local.ports import LOOPBACK, answers
from deploy.local.server import Server
from deploy.local.steps import REPOSITORY


class PhotoServer(Server):
    """Serves one folder.

    Parameters:
        directory: its own folder.
        folder: what is served; ``<directory>/data`` unless given. Files may be added while the server runs.
    """

    name: ClassVar[str] = "photos"
    port_names: ClassVar[tuple[str, ...]] = ("http",)

    def __init__(self, directory: Path, *, folder: Path | None = None) -> None:
        super().__init__(directory)
        self.folder = self.data if folder is None else folder.resolve()

    @property
    def url(self) -> str:
        """The address of the folder, without a slash at its end."""
        return f"http://{LOOPBACK}:{self.ports['http']}"

    def settings(self) -> dict[str, str]:
        # The worker refuses to call private addresses unless they are named.
        return {"COLOUR_IMAGES__ALLOWED_PRIVATE_HOSTS": json.dumps([LOOPBACK])}

    def install(self) -> None:
        """Nothing to do: aiohttp is one of the worker's own dependencies."""

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        return [
            sys.executable, "-m", "aiohttp.web", "-H", LOOPBACK, "-P", str(self.ports["http"]),
            f"{__name__}:application", str(self.folder),
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}

    def is_ready(self) -> bool:
        if not self.ports or not answers(self.ports["http"]):
            return False
        connection = http.client.HTTPConnection(LOOPBACK, self.ports["http"], timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def application(arguments: list[str]) -> web.Application:
    """The server's inside: ``GET /healthz``, and the files of the folder named by the one argument."""

    async def immutable(_: web.Request, response: web.StreamResponse) -> None:
        if response.status == 200:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    (folder,) = arguments
    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_static("/", folder)
    app.on_response_prepare.append(immutable)
    return app
