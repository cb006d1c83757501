"""The other rows of the table: what this model was chosen over, on the same photos, with its own speed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from training.data.cutouts import Pixels
from training.evaluation import naming
from training.evaluation.base import Base
from training.evaluation.measures import Floats
from training.evaluation.photos import Photos
from training.evaluation.row import Row
from training.rivals.classifier import Rival
from training.rivals.pictures import Kind

_NAMING_SIDE = 96
_NAMES: dict[Kind, str] = {
    "whole": "plain CNN classifier on whole photos",
    "cut": "cut-out by GrabCut, white balance, CNN classifier",
}


def rows(photos: Photos, trained: Path | None) -> Iterator[tuple[str, Row]]:
    """Every rival that is there, by its name in the table.

    Parameters:
        photos: the labelled set.
        trained: folder of a model (``colour-train``'s ``--out``) with the base and the trained rivals, or None.
    """
    for name, rule in (("middle of the photo", _middle), ("GrabCut, white balance", _cut_out)):
        yield _row(photos, f"colour naming: {name}, CIELAB, XKCD", _NAMING_SIDE, _each(rule), calibrated=False)
    if trained is None:
        return
    for kind, name in _NAMES.items():
        if _weights(trained, kind).is_file():
            rival = Rival(trained / "rivals", kind)
            yield _row(photos, f"{name} ({rival.network}, {rival.side} px)", rival.side, rival.classify)
    if _base(trained).is_file():
        about = json.loads((trained / "scratch" / "base.json").read_text(encoding="utf-8"))
        base = Base(trained, about["model"])
        yield _row(
            photos, "base before tuning, zero-shot, Russian", about["side"], lambda seen: base.classify(seen, "ru")
        )
        yield _row(
            photos, "base before tuning, zero-shot, English", about["side"], lambda seen: base.classify(seen, "en")
        )


def missing(trained: Path | None) -> list[str]:
    """What would be in the table, but was not trained."""
    names = [name for kind, name in _NAMES.items() if trained is None or not _weights(trained, kind).is_file()]
    return names if trained is not None and _base(trained).is_file() else [*names, "base before tuning"]


def _weights(trained: Path, kind: Kind) -> Path:
    return trained / "rivals" / f"{kind}.pt"


def _base(trained: Path) -> Path:
    return trained / "scratch" / "clip.pt"


def _row(
    photos: Photos, name: str, side: int, classify: Callable[[Pixels], Floats], *, calibrated: bool = True
) -> tuple[str, Row]:  # fmt: skip
    pixels = photos.pixels(side)
    began = time.perf_counter()
    answers = classify(pixels)
    speed = len(pixels) / (time.perf_counter() - began)
    return name, Row.of(photos, answers, calibrated=calibrated, rival=True, speed=speed)


def _each(rule: Callable[[Pixels], Floats]) -> Callable[[Pixels], Floats]:
    return lambda pixels: np.stack([rule(picture) for picture in pixels])


def _middle(picture: Pixels) -> Floats:
    return naming.name(picture, naming.middle(picture))


def _cut_out(picture: Pixels) -> Floats:
    return naming.name(naming.balance(picture), naming.grabcut(picture))
