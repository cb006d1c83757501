"""Animals, tools, furniture and food, drawn, each in its own colour: what a marketplace sells and these shops do not.

463 of Microsoft's Fluent Emoji (MIT) and 192 drawings of the Open Clip Art Library (public domain, mostly animals;
their names begin with ``oc-``), those that are one body, see ``things/LICENSE``. What colour each of them was seen to
have stands in ``things.csv``, in the words of ``by_eye``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.data import by_eye
from training.data.cutouts import Pixels
from training.data.labels import INDEX

FOLDER = Path(__file__).parent / "things"
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_KEPT = 0.25
"""Of the chroma of things that are called white, grey, silver or black."""


@dataclass(frozen=True)
class Things:
    """Pictures and their colours.

    Parameters:
        cutouts: uint8 [T, 128, 128, 4], on transparency.
        targets: float32 [T, 18], label distributions.
    """

    cutouts: Pixels
    targets: NDArray[np.float32]


@cache
def load() -> Things:
    """All of them, in the order of their names."""
    paths = sorted(FOLDER.glob("*.webp"))
    targets, _ = by_eye.read(FOLDER / "things.csv", [path.stem for path in paths])
    cutouts = np.stack([np.asarray(Image.open(path).convert("RGBA"), np.uint8) for path in paths])
    # The artists' whites and greys are lilac, which a title may say of a drawing and a buyer of no pan.
    lilac = np.isin(targets.argmax(1), [INDEX[name] for name in ("white", "grey", "silver", "black")])
    plain = cutouts[lilac, :, :, :3].astype(np.float32)
    cutouts[lilac, :, :, :3] = _KEPT * plain + (1 - _KEPT) * (plain @ _LUMA)[..., None]
    return Things(cutouts, targets)
