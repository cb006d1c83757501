"""Triton's installation: an environment from ``requirements/triton.txt``, with the parts of the wheel put in place."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import MissingDependency
from deploy.local.steps import INSTALLED, REPOSITORY, digest, run, step
from deploy.local.system import apt_install, debian_library_folders

_LOCK = REPOSITORY / "requirements" / "triton.txt"
_VENV = INSTALLED / "triton"
_PYTHONS = ("3.11", "3.12")
"""Those for which both a backend stub and a wheel of numpy 1.26 exist."""

_DESCRIBE = (
    "import json, sys, sysconfig; "
    "print(json.dumps(['{}.{}'.format(*sys.version_info), sysconfig.get_config_var('LIBDIR')]))"
)


@dataclass(frozen=True, slots=True)
class TritonInstallation:
    """Where the server's parts are.

    Parameters:
        server: the ``tritonserver`` program.
        backends: the backend directory, stub included.
        environment: variables without which the server finds neither its libraries nor the backend its Python.
    """

    server: Path
    backends: Path
    environment: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Python:
    """An interpreter that Triton's environment can be made with, and the folder of its ``libpython``."""

    program: str
    version: str
    library_folder: Path


def install_triton() -> TritonInstallation:
    """Make the server available, and say where.

    Raises:
        MissingDependency: this machine cannot run the wheel, or lacks a Python that can be embedded.
        InstallFailed: pip failed.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise MissingDependency(
            "the nvidia-pytriton wheel runs on x86-64 Linux only: run a Triton elsewhere and set COLOUR_TRITON__URL."
        )
    description = _VENV / "installation.json"
    with step(_VENV / ".stamp", digest(_LOCK, Path(__file__))) as due:
        if due:
            python = _embeddable_python()
            run("make Triton's Python environment", [python.program, "-m", "venv", _VENV])
            run(
                "install Triton's wheel",
                [_VENV / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", _LOCK],
            )
            _place_stub(python.version)
            description.write_text(json.dumps(_describe(python), indent=1) + "\n")
    described = json.loads(description.read_text())
    root = _site_packages(described["python"]) / "pytriton" / "tritonserver"
    return TritonInstallation(
        server=root / "bin" / "tritonserver",
        backends=root / "backends",
        environment={
            "LD_LIBRARY_PATH": described["LD_LIBRARY_PATH"],
            # The Python inside the backend's processes finds its environment as an interpreter does: by the first
            # `python3` on PATH. It pays no heed to PYTHONPATH.
            "PATH": f"{_VENV / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        },
    )


def _describe(python: _Python) -> dict[str, object]:
    libraries = _site_packages(python.version) / "nvidia_pytriton.libs"
    return {"python": python.version, "LD_LIBRARY_PATH": f"{libraries}:{python.library_folder}"}


def _place_stub(version: str) -> None:
    """Put the process that runs python models, built for this Python, where the backend looks for it."""
    root = _site_packages(version) / "pytriton" / "tritonserver"
    stub = root / "backends" / "python" / "triton_python_backend_stub"
    shutil.copyfile(root / "python_backend_stubs" / version / stub.name, stub)
    for program in (stub, root / "bin" / "tritonserver"):
        program.chmod(0o755)


def _site_packages(version: str) -> Path:
    return _VENV / "lib" / f"python{version}" / "site-packages"


def _embeddable_python() -> _Python:
    """The running interpreter or another on PATH, with the shared library that the stub is linked to.

    Raises:
        MissingDependency: no such interpreter is here.
    """
    programs = [sys.executable, *(path for path in (shutil.which(f"python{version}") for version in _PYTHONS) if path)]
    without_library: list[tuple[str, str]] = []
    for program in programs:
        found = subprocess.run([program, "-c", _DESCRIBE], capture_output=True, text=True, check=False, timeout=60)
        if found.returncode != 0:
            continue  # a pyenv shim of a version that is not installed
        version, own_folder = json.loads(found.stdout)
        if version not in _PYTHONS:
            continue
        folder = _folder_of_library(version, Path(own_folder or "/nonexistent"))
        if folder is not None:
            return _Python(program, version, folder)
        without_library.append((program, version))
    for program, version in without_library:
        if apt_install(f"libpython{version}"):
            folder = _folder_of_library(version)
            if folder is not None:
                return _Python(program, version, folder)
    if without_library:
        package = f"libpython{without_library[0][1]}"
        raise MissingDependency(
            f"Triton needs {package}.so.1.0, which this Python lacks (Debian: sudo apt-get install {package})."
        )
    raise MissingDependency(
        f"Triton's wheel needs Python {' or '.join(_PYTHONS)} and none is on PATH; install one and run this again."
    )


def _folder_of_library(version: str, *own: Path) -> Path | None:
    folders = (*own, *debian_library_folders())
    return next((folder for folder in folders if (folder / f"libpython{version}.so.1.0").exists()), None)
