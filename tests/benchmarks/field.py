"""The servers and workers of a benchmark run, each started when a figure first asks for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis

from deploy.local import LocalStack
from deploy.local.steps import INSTALLED, REPOSITORY
from deploy.local.triton import TritonServer
from tests.benchmarks import models, photo_host, photos
from tests.benchmarks.fleet import Fleet
from tests.support.worker_process import Deployment

FOLDER = INSTALLED / "bench"
PHOTOS = 32
"""Files on the photo host; addresses tell more photos apart."""


class Field:
    """A context manager: what it started it stops."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder / "run"
        self.cores = len(os.sched_getaffinity(0))
        self._stop = ExitStack()

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.close()

    @cached_property
    def stack(self) -> LocalStack:
        """Kafka and Redis."""
        return self._stop.enter_context(LocalStack(self.folder, components=("kafka", "redis")))

    @cached_property
    def photos_url(self) -> str:
        """The address of the photo host. It reads its files as it starts."""
        assert self.photo_names
        return self._stop.enter_context(photo_host.serving(self._photo_folder))

    @cached_property
    def photo_names(self) -> list[str]:
        """Photos that the photo host serves."""
        return photos.make(self._photo_folder, PHOTOS)

    @property
    def _photo_folder(self) -> Path:
        return self.folder / "photos"

    @cached_property
    def standin(self) -> TritonServer:
        """Triton with models that wait as a GPU would and compute nothing."""
        return self.serve("standin", models.standin(self.folder / "standin-models"))

    @cached_property
    def encoder(self) -> TritonServer:
        """Triton with the models of this repository, and their head a second time as a new version."""
        return self.serve("encoder", models.with_new_head(self.folder / "encoder-models"))

    def serve(self, name: str, repository: Path) -> TritonServer:
        """A Triton with this repository, until the run ends."""
        server = TritonServer(self.folder / name, repository=repository)
        self._stop.callback(server.stop)
        server.start()
        return server

    def settings(self, triton: TritonServer) -> dict[str, str]:
        """The environment variables that point a worker at the servers."""
        return {**self.stack.settings(), **triton.settings()}

    def calm_down(self) -> None:
        """Begin a figure with an empty cache."""
        if "stack" in self.__dict__:
            with Redis.from_url(self.stack.redis.url) as redis:
                redis.flushall()

    @contextmanager
    def fleet(self, triton: TritonServer, *, partitions: int = 4, **overrides: str) -> Iterator[Fleet]:
        """Topics and a group of their own, and workers of them; all are gone when the context ends.

        Parameters:
            overrides: more of the workers' environment variables.
        """
        deployment = Deployment(
            self.settings(triton),
            self.folder,
            {"COLOUR_TOPICS__PARTITIONS": str(partitions), "COLOUR_STREAM__RETRY_DELAYS": "[30]", **overrides},
        )
        self.stack.kafka.create_topics([deployment.created, deployment.coloured], partitions=partitions)
        fleet = Fleet(deployment, partitions)
        try:
            yield fleet
        finally:
            fleet.close()

    def child(
        self, module: str, *arguments: str, python: str = sys.executable, env: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Run ``python -m module`` to its end; the JSON object of its last line of standard output.

        Raises:
            RuntimeError: it failed; the end of its error output is named.
        """
        done = subprocess.run(
            [python, "-m", module, *arguments],
            cwd=REPOSITORY,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{module} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return answer
