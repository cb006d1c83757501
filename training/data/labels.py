"""From a shop's colour word and the item's own pixels to a target distribution over the 18 colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worker.colours import Colour

LABELS: tuple[str, ...] = tuple(colour.value for colour in Colour)
INDEX = {label: i for i, label in enumerate(LABELS)}

SHARED: dict[str, dict[str, float]] = {
    "Peach": {"pink": 0.5, "orange": 0.3, "beige": 0.2},
    "Bronze": {"brown": 0.5, "gold": 0.5},
    "Copper": {"brown": 0.5, "gold": 0.3, "orange": 0.2},
    "Metallic": {"silver": 0.7, "grey": 0.3},
    "Cream": {"beige": 0.7, "white": 0.3},
    "Off White": {"white": 0.6, "beige": 0.4},
    "Khaki": {"beige": 0.55, "green": 0.25, "brown": 0.2},
    "Tan": {"brown": 0.7, "beige": 0.3},
    "Mauve": {"purple": 0.6, "pink": 0.4},
    "Rust": {"orange": 0.6, "brown": 0.4},
    "Teal": {"turquoise": 0.75, "green": 0.25},
    "Taupe": {"grey": 0.4, "brown": 0.3, "beige": 0.3},
    "Steel": {"silver": 0.85, "grey": 0.15},
    "Mushroom Brown": {"brown": 0.6, "beige": 0.4},
}
"""Shop words that honest people would file under more than one of our colours."""

NEUTRAL_CHROMA = 9.0
"""Below this C*ab a surface reads as grey, white or black on a studio photo."""

NOT_BLUE = -4.0
"""Above this b* nothing is blue. A third of what the shops call blue fails: grey denim, persons in other clothes."""


def one_hot(label: str) -> NDArray[np.float32]:
    """The distribution that is sure of one label, float32 [18]."""
    out = np.zeros(len(LABELS), np.float32)
    out[INDEX[label]] = 1
    return out


def target(colour: str | None, raw: str, lab: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """A distribution over ``LABELS`` that sums to 1, float32 [18]; None where the label contradicts the pixels.

    Parameters:
        colour: our slug, ``blue_or_lightblue`` or None.
        raw: the shop's own word.
        lab: ``cutouts.lab_statistics`` of the item, float32 [6].
    """
    out = np.zeros(len(LABELS), np.float32)
    if raw in SHARED:
        for name, share in SHARED[raw].items():
            out[INDEX[name]] = share
        return out
    lightness, a, b = (float(v) for v in lab[:3])
    chroma, hue = float(np.hypot(a, b)), float(np.degrees(np.arctan2(b, a)) % 360)
    if colour in ("blue_or_lightblue", "blue"):
        if b > NOT_BLUE:
            return None
        light = 1 / (1 + np.exp(-(lightness - 57) / 3.5))
        if chroma > 12 and 165 < hue < 215 and lightness > 35:
            out[INDEX["turquoise"]], out[INDEX["lightblue"]] = 0.75, 0.25
            return out
        if colour == "blue":
            light *= 0.5
        out[INDEX["lightblue"]], out[INDEX["blue"]] = light, 1 - light
        return out
    if colour is None or colour not in INDEX:
        return None
    if colour == "red" and lightness < 33 and chroma < 52:
        # Shops call maroon "Red"; the item's own darkness tells.
        out[INDEX["burgundy"]], out[INDEX["red"]] = 0.75, 0.25
        return out
    if colour in {"red", "orange", "yellow", "green", "turquoise", "purple", "pink"} and chroma < NEUTRAL_CHROMA * 0.6:
        return None
    if colour in {"white", "beige", "silver"} and lightness < 25:
        return None
    if colour == "black" and lightness > 62:
        return None
    if colour in {"white", "black", "grey"} and chroma > 38:
        return None
    if colour == "green" and chroma > 12 and 180 < hue < 225:
        out[INDEX["turquoise"]], out[INDEX["green"]] = 0.75, 0.25
        return out
    out[INDEX[colour]] = 1.0
    return out
