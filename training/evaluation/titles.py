"""Titles for measuring fusion: right, naming no colour, missing, or lying; from a seed of their own."""

from __future__ import annotations

import random
from typing import Literal

from training.captions.items import item_of
from training.captions.titles import caption
from training.evaluation.photos import Photos
from worker.colours import Colour

Kind = Literal["right", "silent", "missing", "lying"]
KINDS: tuple[Kind, ...] = ("right", "silent", "missing", "lying")
_SEED = 20_261_122


def make(photos: Photos, kind: Kind) -> list[str]:
    """One title a photo; where the annotators disagree, one of their colours counts as right."""
    chance = random.Random(f"{_SEED} {kind}")
    titles = []
    for truth, accepted, item in zip(photos.truth, photos.accepted, photos.items, strict=True):
        match kind:
            case "missing":
                titles.append("")
                continue
            case "silent":
                colour = None
            case "right":
                colour = str(truth or min(accepted))
            case "lying":
                colour = str(chance.choice([colour for colour in Colour if colour not in accepted]))
        titles.append(caption(colour, item_of(item), chance))
    return titles
