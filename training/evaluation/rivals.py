"""The other rows of the table: what this model was chosen over, on the same photos, with its own speed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.cutouts import Pixels
from training.evaluation import naming
from training.evaluation.base import Base
from training.evaluation.measures import Figures, Floats, measure
from training.evaluation.photos import Photos
from training.rivals.classifier import Rival
from training.rivals.pictures import Kind

_NAMING_SIDE = 96
_NAMES: dict[Kind, str] = {
    "whole": "plain CNN classifier on whole photos",
    "cut": "cut-out by GrabCut, white balance, CNN classifier",
}


@dataclass(frozen=True)
class Row:
    """A rival's line.

    Parameters:
        name: as the table shows it.
        figures: on the photos.
        speed: photos a second on this machine's CPU, from decoded pixels on.
    """

    name: str
    figures: Figures
    speed: float


def rows(photos: Photos, trained: Path | None) -> Iterator[Row]:
    """Every rival that is there.

    Parameters:
        photos: the labelled set.
        trained: folder of a model (``colour-train``'s ``--out``) with the base and the trained rivals, or None.
    """
    yield _row(photos, "colour naming: middle of the photo, CIELAB, XKCD", _NAMING_SIDE, _each(_middle), honest=False)
    name = "colour naming: GrabCut, white balance, CIELAB, XKCD"
    yield _row(photos, name, _NAMING_SIDE, _each(_cut_out), honest=False)
    if trained is None:
        return
    for kind, name in _NAMES.items():
        if (trained / "rivals" / f"{kind}.pt").is_file():
            rival = Rival(trained / "rivals", kind)
            yield _row(photos, f"{name} ({rival.network}, {rival.side} px)", rival.side, rival.classify)
    if (trained / "scratch" / "clip.pt").is_file():
        about = json.loads((trained / "scratch" / "base.json").read_text(encoding="utf-8"))
        base = Base(trained, about["model"])
        yield _row(
            photos, "base before tuning, zero-shot, Russian", about["side"], lambda seen: base.classify(seen, "ru")
        )
        yield _row(
            photos, "base before tuning, zero-shot, English", about["side"], lambda seen: base.classify(seen, "en")
        )


def _row(
    photos: Photos, name: str, side: int, classify: Callable[[Pixels], Floats], *, honest: bool = True
) -> Row:  # fmt: skip
    pixels = photos.pixels(side)
    began = time.perf_counter()
    answers = classify(pixels)
    speed = len(pixels) / (time.perf_counter() - began)
    return Row(name, measure(answers, photos.truth, photos.accepted, photos.sellers, calibrated=honest), speed)


def _each(rule: Callable[[Pixels], Floats]) -> Callable[[Pixels], Floats]:
    return lambda pixels: np.stack([rule(picture) for picture in pixels])


def _middle(picture: Pixels) -> Floats:
    return naming.name(picture, naming.middle(picture))


def _cut_out(picture: Pixels) -> Floats:
    return naming.name(naming.balance(picture), naming.grabcut(picture))
