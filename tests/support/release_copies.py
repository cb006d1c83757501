"""Copies of the stand-in repository with more releases, whose answers tell which release, or which mixture, gave them.

Release 1 is the stand-in itself. Encoder 2 turns red, green and blue around in its embeddings; heads 2 and 3 turn them
back and are less sure, each to a degree of its own. Under one release every photo gets its colour with that release's
probability; a head on the other encoder's embedding would give another colour.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.fixtures import STANDIN
from worker.models.client import RELEASE_MODEL
from worker.models.repository import MODELS, Repository, fingerprint

_BACKEND = """\
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from standin import {base}


class TritonPythonModel({base}):
    def answer(self, *inputs):
        {body}
"""
SOFTNESS = {"1": 8.0, "2": 16.0, "3": 32.0}
"""By head: the divisor of the distances; the larger, the less sure."""

PALETTE = {
    "white": (255, 255, 255), "black": (0, 0, 0), "grey": (128, 128, 128), "silver": (192, 192, 192),
    "beige": (220, 200, 160), "brown": (120, 70, 30), "gold": (200, 150, 40), "yellow": (250, 220, 20),
    "orange": (250, 130, 30), "red": (220, 20, 30), "burgundy": (110, 10, 40), "pink": (245, 145, 180),
    "purple": (120, 50, 170), "blue": (30, 80, 180), "lightblue": (135, 200, 235), "turquoise": (40, 185, 175),
    "green": (45, 140, 60), "multicolour": (255, 0, 255),
}  # fmt: skip

FIRST = {"image": "1", "text": "1", "head": "1"}
SECOND = {"image": "2", "text": "1", "head": "2"}
THIRD = {"image": "2", "text": "1", "head": "3"}
_TURN = {"1": (0, 1, 2), "2": (1, 2, 0)}


def embeddings(version: str, middles: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """What an encoder answers to photos whose middle pixels are ``middles``, [n, 3]."""
    rows = np.concatenate([middles[:, _TURN[version]].astype(np.float32) / 255, np.ones((len(middles), 1))], axis=1)
    unit: npt.NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def probabilities(version: str, images: npt.NDArray[Any], encoder: str) -> npt.NDArray[np.float32]:
    """What a head made for ``encoder`` answers."""
    colour = images[:, np.argsort(_TURN[encoder])] / images[:, 3:4] * 255
    distance = np.linalg.norm(colour[:, None] - np.array(list(PALETTE.values()))[None], axis=2)
    weights = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / SOFTNESS[version])
    answers: npt.NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return answers


def copy(folder: Path, *, served: bool = False) -> Repository:
    """The stand-in with encoder 2 and heads 2 and 3 beside it; ``served``: the policy names them already."""
    shutil.copytree(STANDIN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    repository = Repository(folder)
    turn, back = str(list(_TURN["2"])), [int(at) for at in np.argsort(_TURN["2"])]
    add(repository, "image", "2", f"return super().answer(*inputs)[:, {turn} + [3]]", {"side": "128", "width": "4"})
    for version in ("2", "3"):
        # A power of the stand-in's own distribution is a softmax with another divisor.
        body = (
            f"sure = super().answer(inputs[0][:, {back} + [3]], inputs[1])\n"
            f"        soft = sure.astype(np.float64) ** (8 / {SOFTNESS[version]})\n"
            "        return soft / soft.sum(axis=1, keepdims=True)"
        )
        values = {name: repository.config("colour_head").parameters[f"1/{name}"].string_value
                  for name in ("labels", "text_fingerprint")}  # fmt: skip
        add(repository, "head", version, body, {**values, "threshold": "0.1"})
    for name, version in (("image", "1"), ("text", "1"), ("head", "1"), ("image", "2"), ("head", "2"), ("head", "3")):
        stamp(repository, name, version)
        write_golden(repository, name, version, encoder="1" if version == "1" else "2")
    for version, release in (("1", FIRST), ("2", SECOND), ("3", THIRD)):
        pair(repository, version, release)
    if served:
        for name, versions in (("image", [1, 2]), ("head", [1, 2, 3])):
            config = repository.config(MODELS[name])
            config.version_policy.specific.versions[:] = versions
            repository.write(MODELS[name], config)
    return repository


def add(repository: Repository, name: str, version: str, body: str, values: Mapping[str, str]) -> Path:
    """A version's backend with this body of ``answer``, and its parameters without fingerprint."""
    folder = repository.version(MODELS[name], version)
    folder.mkdir()
    (folder / "model.py").write_text(_BACKEND.format(base=name.capitalize(), body=body))
    parameters(repository, name, {f"{version}/{key}": value for key, value in values.items()})
    return folder


def parameters(repository: Repository, name: str, values: Mapping[str, str]) -> None:
    """Change the parameters of a model, or of what is live (``release``)."""
    model = RELEASE_MODEL if name == "release" else MODELS[name]
    config = repository.config(model)
    for key, value in values.items():
        config.parameters[key].string_value = value
    repository.write(model, config)


def stamp(repository: Repository, name: str, version: str) -> None:
    """Write the fingerprint of a version's files."""
    mark = fingerprint(repository.version(MODELS[name], version))
    parameters(repository, name, {f"{version}/fingerprint": mark})


def pair(repository: Repository, head: str, release: Mapping[str, str]) -> None:
    """Say that a head was made for the encoders of a release."""
    marks = {
        f"{head}/{name}_fingerprint": repository.config(MODELS[name])
        .parameters[f"{release[name]}/fingerprint"]
        .string_value
        for name in ("image", "text")
    }
    parameters(repository, "head", marks)


def write_golden(repository: Repository, name: str, version: str, *, encoder: str) -> None:
    """Golden inputs, and the answers as worked out here rather than by Triton."""
    middles = np.array(list(PALETTE.values())[5:11], np.uint8)
    path = repository.version(MODELS[name], version) / "golden.npz"
    images = embeddings(encoder, middles)
    texts = np.full((len(middles), 4), 0.5, np.float32)
    if name == "image":
        pixels = np.broadcast_to(middles[:, None, None, :], (len(middles), 32, 32, 3))
        np.savez_compressed(path, pixels=pixels, embedding=images)
    elif name == "text":
        said = np.array([[f"платье {at}".encode()] for at in range(len(middles))], dtype=np.bytes_)
        np.savez_compressed(path, text=said, embedding=texts)
    else:
        answers = probabilities(version, images, encoder)
        np.savez_compressed(
            path, image_embedding=images, text_embedding=texts, probabilities=answers, labels=np.array(list(PALETTE))
        )
