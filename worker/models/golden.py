"""Whether a loaded version answers as it was exported, and whether a release names plain colours rightly.

Golden inputs lie beside each version (``golden.npz``: arrays under the names of the model's inputs and outputs). They
tell that Triton runs the exported graph. They say nothing of the label order, which is a parameter: for that the head's
golden file names the labels in the order of its outputs (``labels``). And pictures of one plain colour go through
encoder and head, and the names that come out are compared with those put in: this finds what was exported wrongly.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.colours import NAMES, Colour
from worker.errors import ConfigurationError
from worker.models.client import HEAD_MODEL, IMAGE_MODEL, TEXT_MODEL, Triton
from worker.models.releases import Release
from worker.models.repository import GOLDEN, Repository

_MORE_MISSES = 1
"""Plain colours that a new release may miss beyond what the active one misses; two exchanged labels make two."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a model's golden answers are from the exported ones.

    Parameters:
        model: of the repository.
        rows: golden inputs.
        largest: absolute difference of one value.
    """

    model: str
    rows: int
    largest: float


async def compare(triton: Triton, repository: Repository, release: Release, tolerance: float) -> list[Difference]:
    """Put the golden inputs of the release's versions through Triton.

    Raises:
        ConfigurationError: an answer differs by more than ``tolerance``, or golden inputs cannot be read.
        ReleaseGone: a version is not loaded.
        Unavailable: Triton does not answer.
    """
    image = _read(repository.version(IMAGE_MODEL, release.image.version) / GOLDEN, "pixels", "embedding")
    text = _read(repository.version(TEXT_MODEL, release.text.version) / GOLDEN, "text", "embedding")
    head = _read(
        repository.version(HEAD_MODEL, release.head.version) / GOLDEN,
        "image_embedding", "text_embedding", "probabilities", "labels",
    )  # fmt: skip
    _check_exported_labels([str(one) for one in head["labels"]], release)
    texts = [bytes(row).decode() for row in text["text"].reshape(-1)]
    return [
        _difference(
            IMAGE_MODEL,
            await triton.embed_images(release.image.version, image["pixels"]), image["embedding"], tolerance,
        ),
        _difference(
            TEXT_MODEL, await triton.embed_texts(release.text.version, texts), text["embedding"], tolerance
        ),
        _difference(
            HEAD_MODEL,
            await triton.probabilities(release.head.version, head["image_embedding"], head["text_embedding"]),
            head["probabilities"], tolerance,
        ),
    ]  # fmt: skip


async def misnamed(triton: Triton, release: Release) -> dict[Colour, Colour]:
    """Plain colours that the release names wrongly: what was shown -> what it said. Raises as ``compare``."""
    shown = {name.colour: _first_hex(name.swatch) for name in NAMES.values() if name.colour != Colour.MULTICOLOUR}
    pixels = np.stack([_square(rgb, release.image.side) for rgb in shown.values()])
    images = (await triton.embed_images(release.image.version, pixels)).astype(np.float16).astype(np.float32)
    silent = np.zeros((len(images), release.text.width), np.float32)
    answers = (await triton.probabilities(release.head.version, images, silent)).argmax(axis=1)
    said = [release.head.labels[at] for at in answers]
    return {colour: name for colour, name in zip(shown, said, strict=True) if colour != name}


async def check_labels(triton: Triton, candidate: Release, active: Release) -> tuple[int, int]:
    """Plain colours that the candidate and the active release misname.

    Raises:
        ConfigurationError: the candidate misnames more than one more: its label order is wrong, or the model is.
    """
    theirs, ours = await misnamed(triton, candidate), await misnamed(triton, active)
    if len(theirs) > len(ours) + _MORE_MISSES:
        examples = ", ".join(f"{shown} as {said}" for shown, said in list(theirs.items())[:6])
        raise ConfigurationError(
            f"{HEAD_MODEL} {candidate.head.version} misnames {len(theirs)} of {len(NAMES) - 1} plain colours "
            f"({examples}), "
            f"the active release {len(ours)}: the order of {candidate.head.version}/labels is not that of its outputs"
        )
    return len(theirs), len(ours)


def _read(path: Path, *names: str) -> dict[str, npt.NDArray[Any]]:
    try:
        # Opened here: numpy leaves the file open when it is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{path} cannot be used: {error}; export the version again") from None


def _check_exported_labels(exported: list[str], release: Release) -> None:
    """The slugs in output order, as exported, are those of the configuration."""
    if exported != list(release.head.labels):
        raise ConfigurationError(
            f"{HEAD_MODEL} {release.head.version}: the labels are not in the order that was exported, "
            f"which is {','.join(exported)}"
        )


def _difference(
    model: str, found: npt.NDArray[np.float32], exported: npt.NDArray[np.float32], tolerance: float
) -> Difference:
    if found.shape != exported.shape:
        raise ConfigurationError(
            f"{model} answers its golden inputs with {found.shape}, exported were {exported.shape}"
        )
    largest = float(np.abs(found - exported).max())
    # Written so that NaN, which compares false with everything, is refused.
    if not largest <= tolerance:
        raise ConfigurationError(
            f"{model} answers its golden inputs up to {largest:.4g} away from the exported answers "
            f"(allowed: {tolerance:g})"
        )
    return Difference(model, len(found), largest)


def _first_hex(swatch: str) -> tuple[int, int, int]:
    found = re.search(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", swatch)
    if found is None:
        raise ValueError(f"{swatch!r} holds no #rrggbb")
    return int(found[1], 16), int(found[2], 16), int(found[3], 16)


def _square(rgb: tuple[int, int, int], side: int) -> npt.NDArray[np.uint8]:
    """A square of one colour in the middle of a white picture, uint8 [side, side, 3]."""
    picture = np.full((side, side, 3), 255, np.uint8)
    edge = side // 6
    picture[edge : side - edge, edge : side - edge] = rgb
    return picture
