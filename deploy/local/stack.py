"""The servers together: installed, started and stopped in parallel, found again by a later command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.kafka import KafkaServer
from deploy.local.photos import PhotoServer
from deploy.local.redis import RedisServer
from deploy.local.server import Server
from deploy.local.steps import INSTALLED, REPOSITORY, locked
from deploy.local.triton import MODELS, TritonServer

COMPONENTS = ("kafka", "redis", "triton", "photos")
DEFAULT_DIRECTORY = INSTALLED / "stack"


class LocalStack:
    """Kafka, Redis, Triton and a photo host on this machine's loopback address.

        with LocalStack(directory, components=("kafka", "redis")) as stack:
            print(stack.kafka.bootstrap, stack.redis.url)

    A server that another process has started in the same directory is used as it is, and left running at the end of the
    ``with`` block: only what this object started is stopped.

    Parameters:
        directory: data, ports and logs of all servers, each in ``<directory>/<name>``.
        components: which servers; the attributes of the others stay there, stopped.
        model_repository: what Triton serves.
        models: what Triton loads at the start.
        photos: the folder that the photo host serves; ``<directory>/photos/data`` unless given.
    """

    def __init__(
        self,
        directory: Path = DEFAULT_DIRECTORY,
        *,
        components: Sequence[str] = COMPONENTS,
        model_repository: Path = REPOSITORY / "triton_models",
        models: Sequence[str] = MODELS,
        photos: Path | None = None,
    ) -> None:
        unknown = set(components) - set(COMPONENTS)
        if unknown:
            raise ValueError(f"unknown components {sorted(unknown)}; choose among {', '.join(COMPONENTS)}")
        self.directory = directory.resolve()
        self.kafka = KafkaServer(self.directory / "kafka")
        self.redis = RedisServer(self.directory / "redis")
        self.triton = TritonServer(self.directory / "triton", repository=model_repository, models=models)
        self.photos = PhotoServer(self.directory / "photos", folder=photos)
        self.servers: list[Server] = [
            server for server in (self.kafka, self.redis, self.triton, self.photos) if server.name in components
        ]
        self._started: list[Server] = []

    def install(self) -> None:
        """Install every server that is not installed, in parallel."""
        _all_at_once(server.install for server in self.servers)

    def start(self) -> None:
        """Install what is missing and start what does not run, in parallel; returns when every server answers.

        When one fails, those that this call started are stopped again.

        Raises:
            StackError: a server could not be installed or started.
        """
        with locked(self.directory / ".lock"), ExitStack() as undo:
            self.install()
            due = [server for server in self.servers if not server.running]
            self._started.extend(due)
            undo.callback(self.stop_started)
            _all_at_once(server.start for server in self.servers)
            undo.pop_all()

    def stop(self) -> None:
        """Stop every server, whoever started it. Data and logs stay."""
        with locked(self.directory / ".lock"):
            _all_at_once(server.stop for server in self.servers)
            self._started.clear()

    def stop_started(self) -> None:
        """Stop the servers that this object started."""
        _all_at_once(server.stop for server in self._started)
        self._started.clear()

    def is_ready(self) -> bool:
        """Whether every server answers now."""
        return all(server.running and server.is_ready() for server in self.servers)

    def settings(self) -> dict[str, str]:
        """The worker's environment variables that point at this stack."""
        return {name: value for server in self.servers for name, value in server.settings().items()}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_started()


def _all_at_once(calls: Iterable[Callable[[], None]]) -> None:
    """Make the calls in parallel; when all have ended, raise what the first of the failed ones raised."""
    pending = list(calls)
    if not pending:
        return
    with ThreadPoolExecutor(len(pending)) as pool:
        futures = [pool.submit(call) for call in pending]
    for future in futures:
        future.result()
