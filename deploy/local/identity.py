"""Which process a number means: a pid together with the moment the process began.

The kernel gives pids out again, so a pid that was written to a file last week may be anybody's today. Field 22 of
``/proc/<pid>/stat`` (clock ticks since boot, proc(5)) and the boot id tell whether it is still the same process.
"""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of one boot of this machine.

    Parameters:
        pid: process id.
        started: clock ticks between boot and the start of the process.
        boot: the kernel's boot id.
    """

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The process that has this pid now; None if there is none, or only a zombie of one."""
        stat = _stat(pid)
        if stat is None or stat[0] in "ZX":
            return None
        return cls(pid=pid, started=int(stat[19]), boot=_boot_id())

    @classmethod
    def own(cls) -> ProcessIdentity:
        """This very process."""
        identity = cls.of(os.getpid())
        if identity is None:
            raise StackError("this process finds no entry of its own in /proc")
        return identity

    @property
    def alive(self) -> bool:
        """Whether this same process, not a later one with its pid, still runs."""
        return ProcessIdentity.of(self.pid) == self

    @property
    def uptime(self) -> float:
        """Seconds since the process began."""
        since_boot = float(Path("/proc/uptime").read_text().split()[0])
        return since_boot - self.started / os.sysconf("SC_CLK_TCK")

    def signal_group(self, number: signal.Signals) -> bool:
        """Send a signal to the process and its children, if it leads a group of its own; False if it is gone.

        The group matters for Triton: each of its python models is a child process that SIGKILL to the parent alone
        would leave behind for a moment.
        """
        if not self.alive:
            return False
        try:
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait(self, timeout: float) -> bool:
        """Wait for the end of the process without spinning; True if it ended within ``timeout`` seconds."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive:
                return True
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            return bool(poller.poll(timeout * 1000))
        finally:
            os.close(descriptor)


def _stat(pid: int) -> list[str] | None:
    """Fields 3 and up of ``/proc/<pid>/stat``: the name before them may hold spaces and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
