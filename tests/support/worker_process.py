"""A real ``colour-worker run`` as a child process, with topics and a group of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


@dataclass(frozen=True)
class Deployment:
    """Topics, group and servers that several worker processes of one test share.

    Parameters:
        servers: the environment variables that point at the servers.
        folder: for logs.
        overrides: more of the worker's environment variables.
    """

    servers: Mapping[str, str]
    folder: Path
    overrides: Mapping[str, str] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")

    @property
    def created(self) -> str:
        return f"{self.name}.created"

    @property
    def coloured(self) -> str:
        return f"{self.name}.coloured"

    @property
    def dead(self) -> str:
        return f"{self.name}.dead"

    @property
    def bootstrap(self) -> str:
        return self.servers["COLOUR_KAFKA__BOOTSTRAP_SERVERS"]

    def environment(self) -> dict[str, str]:
        """Of a worker process."""
        ours = {
            "COLOUR_TOPICS__CREATED": self.created,
            "COLOUR_TOPICS__COLOURED": self.coloured,
            "COLOUR_TOPICS__RETRY_PREFIX": f"{self.name}.retry",
            "COLOUR_TOPICS__DEAD": self.dead,
            "COLOUR_TOPICS__PARTITIONS": "4",
            "COLOUR_STREAM__GROUP": self.name,
            "COLOUR_STREAM__RETRY_DELAYS": "[1, 2]",
            "COLOUR_STREAM__SESSION_TIMEOUT": "6",
            "COLOUR_STREAM__TRANSACTION_TIMEOUT": "10",
            "COLOUR_OBSERVE__PORT": "0",
            "COLOUR_OBSERVE__LOG_FORMAT": "json",
            "COLOUR_IMAGES__ALLOWED_PRIVATE_HOSTS": json.dumps(["127.0.0.1"]),
        }
        outside = {name: value for name, value in os.environ.items() if not name.startswith("COLOUR_")}
        return {**outside, **self.servers, **ours, **self.overrides}

    def worker(self) -> WorkerProcess:
        """Start one more worker; it joins the group of the others."""
        return WorkerProcess(self)


class WorkerProcess:
    """One worker. It is killed at the latest when the test ends (see the ``deployment`` fixture)."""

    def __init__(self, deployment: Deployment) -> None:
        self.log = deployment.folder / f"{deployment.name}-{uuid.uuid4().hex[:6]}.log"
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("colour-worker")), "run"],
                env=deployment.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self, timeout: float = 90) -> None:
        """Return once ``/readyz`` says yes.

        Raises:
            TimeoutError: it did not, in time.
            RuntimeError: the process ended.
        """
        deadline = time.monotonic() + timeout
        while not self._answers("/readyz"):
            if self._process.poll() is not None:
                raise RuntimeError(f"the worker ended with {self._process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"the worker was not ready within {timeout} s:\n{self.tail()}")
            time.sleep(0.1)

    def wait_for(self, event: str, timeout: float = 60) -> None:
        """Return once the log has this event."""
        deadline = time.monotonic() + timeout
        while f'"event": "{event}"' not in self.log.read_text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {event} within {timeout} s:\n{self.tail()}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """What ``/readyz`` says now."""
        return self._answers("/readyz")

    def healthy(self) -> bool:
        """What ``/healthz`` says."""
        return self._answers("/healthz")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        return sum(sample.value for sample in self._samples(name) if labels.items() <= sample.labels.items())

    def series(self, name: str) -> list[Mapping[str, str]]:
        """The labels of each of a metric's samples."""
        return [sample.labels for sample in self._samples(name)]

    def _samples(self, name: str) -> list[Sample]:
        with urllib.request.urlopen(f"{self._address()}/metrics", timeout=5) as response:
            text = response.read().decode()
        return [
            sample
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        ]

    def terminate(self, timeout: float = 45) -> int:
        """SIGTERM; returns the exit code once it has drained."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL: no chance to say goodbye."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
        self._process.wait(10)

    def pause(self) -> None:
        """SIGSTOP: alive, and silent."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: a zombie wakes up."""
        self._process.send_signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def peak_megabytes(self) -> float:
        """Peak resident memory so far: of all its processes, each one's own."""
        statuses = (Path(f"/proc/{pid}/status").read_text() for pid in self._family())
        return sum(int(found[1]) for status in statuses if (found := re.search(r"VmHWM:\s+(\d+) kB", status))) / 1024

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its processes that live."""
        stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._family())
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")

    def photo_pids(self) -> list[int]:
        """Of the processes that load photos for it."""
        return self._family()[1:]

    def _family(self) -> list[int]:
        children = (path.read_text().split() for path in Path(f"/proc/{self.pid}/task").glob("*/children"))
        return [self.pid, *(int(pid) for several in children for pid in several)]

    def tail(self, lines: int = 25) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _address(self) -> str:
        found = re.search(r'"address": "(http://[^/"]+)', self.log.read_text())
        if found is None:
            raise LookupError("the worker has not said where it can be observed")
        return found[1]

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self._address() + path, timeout=5) as response:
                return bool(response.status == 200)
        except (LookupError, urllib.error.URLError, TimeoutError, ConnectionError):
            return False
