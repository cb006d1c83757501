"""The model repositories that Triton serves in a benchmark."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.local.steps import REPOSITORY
from worker.models.client import HEAD_MODEL, IMAGE_MODEL, TEXT_MODEL
from worker.models.releases import Release
from worker.models.repository import Repository

STANDIN = REPOSITORY / "tests" / "standin"
WIDTH = 512
"""Of the stand-in's embeddings: as CLIP ViT-B/32 has them."""


def standin(folder: Path, *, width: int = WIDTH, instances: int = 1, waits: Mapping[str, float] | None = None) -> Path:
    """A copy of ``tests/standin``.

    Parameters:
        instances: of the image encoder: so many of its batches are waited for at once.
        waits: milliseconds of a whole batch by model; as the stand-in has it, unless given.
    """
    shutil.copytree(STANDIN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    repository = Repository(folder)
    for model in (IMAGE_MODEL, TEXT_MODEL, HEAD_MODEL):
        config = repository.config(model)
        if "1/width" in config.parameters:
            config.parameters["1/width"].string_value = str(width)
        if waits is not None:
            config.parameters["wait/batch_ms"].string_value = str(waits[model])
            config.parameters["wait/item_ms"].string_value = "0"
        if model == IMAGE_MODEL:
            config.instance_group[0].count = instances
        repository.write(model, config)
    return folder


def with_new_head(folder: Path) -> Path:
    """A copy of the project's own repository, with its head once more as version 2: a new release, the same work."""
    shutil.copytree(REPOSITORY / "triton_models", folder, ignore=shutil.ignore_patterns("__pycache__"))
    repository = Repository(folder)
    shutil.copytree(repository.version(HEAD_MODEL, "1"), repository.version(HEAD_MODEL, "2"))
    config = repository.config(HEAD_MODEL)
    config.version_policy.specific.versions[:] = [1, 2]
    for key in [key for key in config.parameters if key.startswith("1/")]:
        config.parameters[f"2/{key[2:]}"].string_value = config.parameters[key].string_value
    config.parameters["2/fingerprint"].string_value = "benchmark-head"
    repository.write(HEAD_MODEL, config)
    return folder


def release(folder: Path) -> Release:
    """The active release of a repository."""
    repository = Repository(folder)
    return repository.release(repository.active())


def waits(folder: Path) -> dict[str, float]:
    """What the stand-in waits for a batch of one, in milliseconds, by model."""
    repository = Repository(folder)
    found = {}
    for model in (IMAGE_MODEL, TEXT_MODEL, HEAD_MODEL):
        values = repository.config(model).parameters
        found[model] = float(values["wait/batch_ms"].string_value) + float(values["wait/item_ms"].string_value)
    return found
