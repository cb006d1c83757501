"""Where the faults happen: the servers, the workers of one deployment, its traffic and its tally."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from deploy.local.kafka import KafkaServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.faults.campaign.tally import Tally
from tests.faults.campaign.traffic import Traffic
from tests.support.fixtures import STANDIN
from tests.support.worker_process import Deployment, WorkerProcess


class Servers:
    """A real Kafka, Redis and Triton; the last serves the stand-in models, so that faults are tested and not a CPU."""

    def __init__(self, kafka: KafkaServer, redis: RedisServer, triton: TritonServer) -> None:
        self.kafka = kafka
        self.redis = redis
        self.triton = triton
        self._all = (kafka, redis, triton)

    @classmethod
    def under(cls, folder: Path) -> Self:
        """Servers whose data lies in a folder."""
        return cls(
            KafkaServer(folder / "kafka"),
            RedisServer(folder / "redis"),
            TritonServer(folder / "triton", repository=STANDIN),
        )

    def start(self) -> None:
        for server in self._all:
            server.install()
            server.start()

    def stop(self) -> None:
        for server in self._all:
            server.stop()

    def settings(self) -> dict[str, str]:
        return {name: value for server in self._all for name, value in server.settings().items()}


class Field:
    """One deployment under traffic.

    Parameters:
        servers: which run.
        folder: for the workers' logs.
        workers: so many at the start.
    """

    def __init__(self, servers: Servers, folder: Path, *, workers: int = 2) -> None:
        self.servers = servers
        self.deployment = Deployment(servers.settings(), folder)
        self.workers: list[WorkerProcess] = []
        self.died: list[WorkerProcess] = []
        self.peak_megabytes = 0.0
        self._watching = threading.Event()
        self._lock = threading.Lock()
        servers.kafka.create_topics([self.deployment.created, self.deployment.coloured, self.deployment.dead])
        try:
            for _ in range(workers):
                self.add()
        except BaseException:
            for worker in self.workers:
                worker.kill()
            raise
        self.tally = Tally(self.deployment)
        self.tally.start()
        self._watch = threading.Thread(target=self._watch_memory, name="memory", daemon=True)
        self._watch.start()
        self.traffic: Traffic | None = None

    def begin(self, count: int, rate: float, *, max_ahead: int = 5_000) -> None:
        """Start the traffic; see ``Traffic``."""
        self.traffic = Traffic(
            self.deployment, count=count, rate=rate, answered=lambda: self.tally.answered, max_ahead=max_ahead
        )
        self.traffic.start()

    def allow(self, published: int) -> None:
        """Let the traffic go on until so many were published."""
        assert self.traffic is not None
        self.traffic.allowed = published

    def ready(self) -> list[WorkerProcess]:
        """The workers that are ready, waiting for one if none is.

        Raises:
            TimeoutError: none became ready.
        """
        if not (found := [worker for worker in self.workers if worker.is_ready()]):
            self.workers[-1].wait_ready(60)
            found = [self.workers[-1]]
        return found

    def wait_ready(self) -> None:
        """Return once every worker is ready: one that starts while Kafka is away ends, as it says, and is no fault."""
        for worker in list(self.workers):
            worker.wait_ready()

    def add(self, *, ready: bool = True) -> WorkerProcess:
        """One worker more."""
        worker = self.deployment.worker()
        with self._lock:
            self.workers.append(worker)
        if ready:
            worker.wait_ready()
        return worker

    def remove(self, worker: WorkerProcess, end: Callable[[WorkerProcess], Any] = WorkerProcess.kill) -> None:
        """End a worker: ``kill -9``, unless told otherwise."""
        with self._lock:
            self.workers.remove(worker)
        end(worker)

    def check(self) -> None:
        """Note the workers that ended by themselves, and replace them: it counts as a failure of the round."""
        with self._lock:
            gone = [worker for worker in self.workers if not worker.running]
            self.workers = [worker for worker in self.workers if worker.running]
        self.died += gone
        for _ in gone:
            self.add()
        for thread in (self.tally, self.traffic):
            if thread is not None and thread.error is not None:
                raise thread.error

    def count(self, event: str) -> int:
        """How often the workers of this deployment have logged an event, those that ended too."""
        logs = self.deployment.folder.glob(f"{self.deployment.name}-*.log")
        return sum(log.read_text(errors="replace").count(f'"event": "{event}"') for log in logs)

    def finish(self, timeout: float) -> None:
        """Wait until every listing has its answer, or for ``timeout`` seconds after the last was published."""
        assert self.traffic is not None
        while self.traffic.is_alive():
            self.check()
            self.traffic.join(1)
        deadline = time.monotonic() + timeout
        while self.tally.answered < len(self.traffic.photo_of) and time.monotonic() < deadline:
            self.check()
            time.sleep(0.2)

    def close(self) -> None:
        """End everything of this deployment; the servers stay."""
        self._watching.set()
        self._watch.join(5)
        for worker in list(self.workers):
            self.remove(worker)
        self.tally.stop()

    def _watch_memory(self) -> None:
        while not self._watching.wait(0.5):
            with self._lock:
                workers = list(self.workers)
            for worker in workers:
                try:
                    peak = worker.peak_megabytes()
                except (OSError, AssertionError):  # it ended this very moment, or is a zombie of the process table
                    continue
                self.peak_megabytes = max(self.peak_megabytes, peak)
