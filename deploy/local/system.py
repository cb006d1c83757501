"""Programs of the system: found, or installed by Debian's apt where we may, or asked for in one sentence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from deploy.local.errors import MissingDependency
from deploy.local.steps import INSTALLED, locked, run

JAVA_RELEASE = 17
"""The oldest Java that Apache Kafka 4 runs on."""


def redis_server() -> str:
    """The path of ``redis-server``.

    Raises:
        MissingDependency: it is not there and could not be installed.
    """
    return _program("redis-server", package="redis-server", otherwise="install Redis 7")


def maven() -> str:
    """The path of ``mvn``.

    Raises:
        MissingDependency: it is not there and could not be installed.
    """
    return _program("mvn", package="maven", otherwise="install Maven 3")


def java() -> str:
    """The path of a ``java`` of release 17 or newer: of ``JAVA_HOME`` if that is set, else of ``PATH``.

    Raises:
        MissingDependency: there is none, or it is older.
    """
    home = os.environ.get("JAVA_HOME")
    program = (shutil.which("java", path=f"{home}/bin") if home else None) or _program(
        "java", package="default-jre-headless", otherwise=f"install a JDK {JAVA_RELEASE} or newer"
    )
    version = subprocess.run([program, "-version"], capture_output=True, text=True, check=False, timeout=30).stderr
    match = re.search(r'version "(\d+)', version)
    if match is None or int(match[1]) < JAVA_RELEASE:
        found = version.splitlines()[0] if version else "nothing"
        raise MissingDependency(
            f"Kafka 4 needs Java {JAVA_RELEASE} or newer but {program} says {found!r}; install one and set JAVA_HOME."
        )
    return program


def apt_install(package: str) -> bool:
    """Install a Debian package as root or by sudo that asks no password; False where neither is possible.

    Raises:
        InstallFailed: apt-get was run and failed.
    """
    apt = shutil.which("apt-get")
    if apt is None:
        return False
    prefix = _as_root()
    if prefix is None:
        return False
    apt_get = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", apt, "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    with locked(INSTALLED / "apt.lock"):
        run("read Debian's package lists", [*apt_get, "update"])
        run(f"install Debian's {package}", [*apt_get, "install", "--no-install-recommends", package])
    return True


def _program(name: str, *, package: str, otherwise: str) -> str:
    found = shutil.which(name)
    if found is None and apt_install(package):
        found = shutil.which(name)
    if found is None:
        raise MissingDependency(
            f"{name} is not on PATH: {otherwise} (Debian: sudo apt-get install {package}) and run this again."
        )
    return found


def _as_root() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        return None
    allowed = subprocess.run([sudo, "-n", "true"], capture_output=True, check=False, timeout=30).returncode == 0
    return [sudo, "-n"] if allowed else None


def debian_library_folders() -> list[Path]:
    """Where Debian and its kin put shared libraries on x86-64."""
    return [Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib64"), Path("/usr/lib")]
