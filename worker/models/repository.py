"""The model repository as a folder: what an operator's commands read and change; Triton reads the same folder.

    triton_models/<model>/config.pbtxt   version policy, and parameters keyed by version
    triton_models/<model>/<version>/     model.py, model.onnx, golden.npz, and tokenizer.json of the text encoder
    triton_models/colour_release/        a model whose parameters name the active release, and others in use

A configuration is replaced whole or not at all. A version's files are never written here: whoever exports a version
copies it in, and only then may it be loaded.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc.model_config_pb2 import ModelConfig

from worker.errors import ConfigurationError
from worker.models.client import HEAD_MODEL, IMAGE_MODEL, RELEASE_MODEL, TEXT_MODEL
from worker.models.releases import ACTIVE, Release, parse_active
from worker.models.shadowing import SHADOW, parse_shadow

MODELS = {"image": IMAGE_MODEL, "text": TEXT_MODEL, "head": HEAD_MODEL}
PREVIOUS = "release/previous"
ACTIVATED_AT = "release/activated_at"
LOADED_AT = "loaded_at"
"""A version's parameter: when ``models load`` had it served, RFC 3339. Triton itself does not tell."""

GOLDEN = "golden.npz"
# What decides a version's answers; golden.npz only checks them.
_DECIDING = ("model.py", "model.onnx", "tokenizer.json")

Versions = Mapping[str, str]
"""A release by its versions: ``{"image": "3", "text": "1", "head": "7"}``."""


class Repository:
    """A model repository with the three models, and the one that names the release.

    Parameters:
        folder: as Triton's ``--model-repository`` names it, or where an operator sees the same files.

    Raises:
        ConfigurationError: there is no such repository.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        missing = [model for model in (*MODELS.values(), RELEASE_MODEL) if not self._path(model).is_file()]
        if missing:
            raise ConfigurationError(
                f"{folder} holds no {', '.join(missing)}; name the folder that Triton serves with --repository"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other operators out while configurations change.

        Raises:
            ConfigurationError: another one is at work.
        """
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise ConfigurationError(f"{self.folder} is being changed by another command; wait for its end") from None
        finally:
            os.close(handle)

    def config(self, model: str) -> ModelConfig:
        """A model's configuration.

        Raises:
            ConfigurationError: the file is not readable as one.
        """
        path = self._path(model)
        try:
            return text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())
        except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from None

    def write(self, model: str, config: ModelConfig) -> None:
        """Replace a model's configuration at once; Triton never sees half a file."""
        path = self._path(model)
        partial = path.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            file.write(text_format.MessageToString(config, use_short_repeated_primitives=True))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def version(self, model: str, version: str) -> Path:
        """The folder of a version; it need not exist."""
        return self.folder / model / version

    def versions(self, model: str) -> list[str]:
        """The versions that have a folder, ascending."""
        found = (path.name for path in (self.folder / model).iterdir() if path.is_dir() and path.name.isdigit())
        return sorted(found, key=int)

    def served(self, model: str) -> set[str]:
        """The versions that Triton is told to serve."""
        return {str(version) for version in self.config(model).version_policy.specific.versions}

    def active(self) -> dict[str, str]:
        """The versions of the active release."""
        return parse_active(self.config(RELEASE_MODEL).parameters[ACTIVE].string_value)

    def previous(self) -> dict[str, str] | None:
        """The versions of the release before; none before the first change."""
        value = self.config(RELEASE_MODEL).parameters[PREVIOUS].string_value
        return parse_active(value) if value else None

    def shadow(self) -> tuple[dict[str, str], float] | None:
        """The versions of the candidate that is shadowed, and its share; ``None``: nothing is."""
        parameters = self.config(RELEASE_MODEL).parameters
        return parse_shadow(parameters[SHADOW].string_value) if SHADOW in parameters else None

    def in_use(self) -> dict[str, dict[str, str]]:
        """The versions of the ``active``, the ``previous`` and the ``shadow`` release, of those that there are."""
        shadowed, previous = self.shadow(), self.previous()
        found = {"active": self.active()}
        found |= {"previous": previous} if previous is not None else {}
        return found | ({"shadow": shadowed[0]} if shadowed is not None else {})

    def activated_at(self) -> str:
        """When the active release was named, RFC 3339; empty when no command did it."""
        return str(self.config(RELEASE_MODEL).parameters[ACTIVATED_AT].string_value)

    def loaded_at(self, model: str, version: str) -> str:
        """When a version was loaded by a command, RFC 3339; empty when Triton began with it."""
        return str(self.config(model).parameters[f"{version}/{LOADED_AT}"].string_value)

    def release(self, versions: Versions) -> Release:
        """The release of these versions as the configurations describe it.

        Raises:
            ConfigurationError: a parameter is missing or wrong, or the head was made for other encoders.
        """
        return Release.of_versions(self.config(IMAGE_MODEL), self.config(TEXT_MODEL), self.config(HEAD_MODEL), versions)

    def check_files(self, model: str, version: str) -> None:
        """The version's files are all there, and are those that its fingerprint was taken of.

        Raises:
            ConfigurationError: they are not; a copy is under way or was cut off, or somebody changed a file.
        """
        folder = self.version(model, version)
        if not any((folder / name).is_file() for name in _DECIDING[:2]):
            raise ConfigurationError(f"{folder} holds neither model.py nor model.onnx; copy the version again")
        if not (folder / GOLDEN).is_file():
            raise ConfigurationError(f"{folder} holds no {GOLDEN}, so it cannot be verified; copy the version again")
        promised = self.config(model).parameters[f"{version}/fingerprint"].string_value
        found = fingerprint(folder)
        if promised != found:
            raise ConfigurationError(
                f"{folder} has the fingerprint {found}, but {model}'s configuration promises {promised or 'none'}: "
                "files are missing, half-copied or changed; copy the version again"
            )

    def _path(self, model: str) -> Path:
        return self.folder / model / "config.pbtxt"


def written(versions: Versions) -> str:
    """``{"image": "3", "text": "1", "head": "7"}`` -> ``"image=3 text=1 head=7"``."""
    return " ".join(f"{name}={versions[name]}" for name in MODELS)


def fingerprint(folder: Path) -> str:
    """First 12 hexadecimal digits of a SHA-256 over the files of a version that decide its answers."""
    digest = hashlib.sha256()
    for name in _DECIDING:
        path = folder / name
        if path.is_file():
            digest.update(f"{name} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
