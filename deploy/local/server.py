"""One server as a child process: started, asked whether it answers, paused, killed, stopped.

What another process needs to find it again (pid, start time, ports) lies in ``<directory>/server.json``, its data in
``<directory>/data`` and what it says in ``<directory>/logs/server.log``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

from deploy.local.errors import StackError, StartFailed
from deploy.local.identity import ProcessIdentity
from deploy.local.ports import free_ports, is_free

_POLL_SECONDS = 0.05
_KILL_SECONDS = 10.0
_LOG_TAIL_BYTES = 4096


class Server(ABC):
    """A server of the local stack.

    Parameters:
        directory: its own folder; ports and data that lie there are used again.
    """

    name: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]]
    start_seconds: ClassVar[float] = 60.0
    """How long it may take to answer: far above what it takes, for machines that are busy with other things."""
    stop_seconds: ClassVar[float] = 15.0
    """How long it may take to end after SIGTERM before SIGKILL follows."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.data = self.directory / "data"
        self.log = self.directory / "logs" / "server.log"
        self._state = self.directory / "server.json"
        self._child: subprocess.Popen[bytes] | None = None
        self._identity: ProcessIdentity | None = None
        self._command: list[str] = []
        self.ports: dict[str, int] = {}
        self._remember()

    @abstractmethod
    def install(self) -> None:
        """Make what the server consists of available on this machine; quick when it is."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line, with ``self.ports`` chosen and ``prepare`` done."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server answers its own protocol now. Asks once, quickly, and never raises for a silent server."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """The worker's environment variables that point at this server."""

    def prepare(self) -> None:  # noqa: B027 - most servers need nothing
        """Write the files that the server reads. Called before every start."""

    def environment(self) -> Mapping[str, str]:
        """The server's environment: ours, unless it needs more."""
        return os.environ

    def clean_up(self) -> None:  # noqa: B027 - most servers leave nothing
        """Remove what a server that was killed could not remove itself. Called when no process is left."""

    @property
    def identity(self) -> ProcessIdentity | None:
        """The running process; None when it is stopped. A paused one runs."""
        if self._child is not None:
            self._child.poll()  # reap our own child, or it would stay a zombie
        if self._identity is not None and self._identity.alive:
            return self._identity
        return None

    @property
    def running(self) -> bool:
        """Whether the process is there, ready or not."""
        return self.identity is not None

    def start(self) -> None:
        """Start the server and wait until it answers; nothing happens when it runs already.

        Started again, it takes the same ports and finds the same data.

        Raises:
            StackError: it runs already, but not as this object would start it.
            StartFailed: it ended at once, or did not answer within ``start_seconds``.
        """
        if not self.running:
            self._spawn()
        elif self._command != self.command():
            raise StackError(
                f"{self.name} runs already in {self.directory}, with another command line than now; stop it first"
            )
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until the server answers.

        Raises:
            StartFailed: it ended, or does not answer within ``timeout`` (default ``start_seconds``) seconds.
        """
        timeout = self.start_seconds if timeout is None else timeout
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if not self.running:
                raise StartFailed(f"{self.name} ended while it started; the end of {self.log}:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"{self.name} did not answer within {timeout:.0f} s; the end of {self.log}:\n{self._log_tail()}"
                )
            time.sleep(_POLL_SECONDS)

    def stop(self, patience: float | None = None) -> None:
        """End the server: SIGTERM, and SIGKILL after ``patience`` (default ``stop_seconds``). Its data stays."""
        identity = self.identity
        if identity is not None:
            # A paused process would sleep through SIGTERM.
            identity.signal_group(signal.SIGCONT)
            os.kill(identity.pid, signal.SIGTERM)
            if not identity.wait(self.stop_seconds if patience is None else patience):
                identity.signal_group(signal.SIGKILL)
        self._forget(identity)

    def kill(self) -> None:
        """``kill -9`` the server and its children, as a crash or the kernel's out-of-memory killer would."""
        identity = self.identity
        if identity is not None:
            identity.signal_group(signal.SIGKILL)
        self._forget(identity)

    def restart(self) -> None:
        """Stop and start, on the same ports with the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open and nothing answers."""
        self._signal_running(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on (SIGCONT)."""
        self._signal_running(signal.SIGCONT)

    def erase(self) -> None:
        """Remove the folder of a stopped server: data, ports and log."""
        if self.running:
            raise StackError(f"{self.name} runs; stop it before its folder is removed")
        shutil.rmtree(self.directory, ignore_errors=True)
        self.ports = {}

    def _signal_running(self, number: signal.Signals) -> None:
        identity = self.identity
        if identity is None or not identity.signal_group(number):
            raise StackError(f"{self.name} does not run")

    def _spawn(self) -> None:
        for folder in (self.data, self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        if set(self.ports) != set(self.port_names):
            self.ports = dict(zip(self.port_names, free_ports(len(self.port_names)), strict=True))
        taken = [port for port in self.ports.values() if not is_free(port)]
        if taken:
            raise StartFailed(f"{self.name} needs port {taken[0]} of {self._state}, which another process has taken")
        self.prepare()
        self._command = self.command()
        with self.log.open("ab") as log:
            # A session of its own: Ctrl+C at the terminal reaches us, and we stop the servers in order.
            self._child = subprocess.Popen(
                self._command,
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._identity = ProcessIdentity.of(self._child.pid)
        if self._identity is None:
            raise StartFailed(f"{self.name} ended at once; the end of {self.log}:\n{self._log_tail()}")
        self._write_state({"ports": self.ports, "process": asdict(self._identity), "command": self._command})

    def _forget(self, identity: ProcessIdentity | None) -> None:
        if identity is not None:
            if self._child is not None:
                self._child.wait(_KILL_SECONDS)
            elif not identity.wait(_KILL_SECONDS):
                raise StackError(f"{self.name} (pid {identity.pid}) does not end, not even by SIGKILL")
        self._child = self._identity = None
        self.clean_up()
        if self._state.exists():
            self._write_state({"ports": self.ports})

    def _write_state(self, state: Mapping[str, object]) -> None:
        # Renamed into place: a reader in another process never sees half a file.
        draft = self._state.with_suffix(".new")
        draft.write_text(json.dumps(state, indent=1) + "\n")
        draft.replace(self._state)

    def _remember(self) -> None:
        if not self._state.exists():
            return
        state = json.loads(self._state.read_text())
        self.ports = state["ports"]
        if "process" in state:
            self._identity = ProcessIdentity(**state["process"])
            self._command = state["command"]

    def _log_tail(self) -> str:
        if not self.log.exists():
            return "(empty)"
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
