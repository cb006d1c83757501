"""The worker as a child process, and its metrics."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from worker.errors import ColourTaggerError

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_LOG_TAIL = 2000


class WorkerFailed(ColourTaggerError):
    """The worker ended, or did not become ready; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """Embeddings looked up in Redis, and how many of them were there."""

    hits: float
    all: float

    def since(self, earlier: Lookups) -> Lookups:
        """What was added."""
        return Lookups(self.hits - earlier.hits, self.all - earlier.all)

    @property
    def rate(self) -> float:
        """Hits as a share, 0..1."""
        return self.hits / self.all if self.all else 0.0


class WorkerProcess:
    """``colour-worker run``.

    A context manager: entered, the worker is ready; left, it has drained and ended.

    Parameters:
        observe: address of ``/readyz`` and ``/metrics``, as its environment tells it.
        log: a file for what it says.
    """

    def __init__(self, observe: str, log: Path) -> None:
        self._observe = observe
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            # A session of its own: Ctrl+C reaches us alone, and we end it in order. Settings come by the environment.
            self._child = subprocess.Popen(
                [sys.executable, "-c", "from worker.start import main; main()", "run"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            WorkerFailed: it has ended.
        """
        if self._child is None or self._child.poll() is not None:
            raise WorkerFailed(f"the worker ended; the end of {self._log}:\n{self._tail()}")

    def lookups(self) -> Lookups:
        """What its metrics say about the cache."""
        counts = {"hit": 0.0, "miss": 0.0}
        for family in text_string_to_metric_families(self._get("/metrics").decode()):
            for sample in family.samples:
                if sample.name == "colour_cache_lookups_total":
                    counts[sample.labels["result"]] += sample.value
        return Lookups(counts["hit"], counts["hit"] + counts["miss"])

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to one that does not end."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            self.check()
            try:
                self._get("/readyz")
            except urllib.error.HTTPError as error:
                said = error.read().decode(errors="replace")
            except OSError as error:
                said = str(error)
            else:
                return
            if time.monotonic() > deadline:
                raise WorkerFailed(
                    f"the worker was not ready within {_START_SECONDS:.0f} s ({said}); the end of {self._log}:\n"
                    f"{self._tail()}"
                )
            time.sleep(0.1)

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self._observe}{path}", timeout=5) as response:  # noqa: S310 - our own address
            body: bytes = response.read()
        return body

    def _tail(self) -> str:
        return self._log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
