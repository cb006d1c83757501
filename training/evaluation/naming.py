"""Classical colour naming, a rival: cut out, balance the white, take CIELAB, ask for the nearest named prototype.

The prototypes are XKCD's (949 names by 222,500 people, shipped by matplotlib), each filed under one of our colours by
the last colour word of its name. An item of several hues has no majority, so multicolour has a rule of its own.
"""

from __future__ import annotations

import re
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.colors import XKCD_COLORS, to_rgb

from training.evaluation.measures import COLOURS, Floats
from worker.colours import Colour

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# Later words decide ("orange brown" is a brown); what no word decides is left out.
_WORDS: dict[Colour, str] = {
    Colour.WHITE: "white|ivory|eggshell",
    Colour.BLACK: "black",
    Colour.GREY: "grey|gray|charcoal|slate",
    Colour.SILVER: "silver",
    Colour.BEIGE: "beige|cream|tan|sand|khaki|buff|fawn|ecru|taupe",
    Colour.BROWN: "brown|chocolate|coffee|mocha|umber|sienna|chestnut|rust|mud|dirt",
    Colour.GOLD: "gold|golden|bronze",
    Colour.YELLOW: "yellow|mustard|lemon|sunflower|ochre",
    Colour.ORANGE: "orange|tangerine|apricot|pumpkin|terracotta",
    Colour.RED: "red|scarlet|crimson|tomato|brick",
    Colour.BURGUNDY: "burgundy|maroon|wine|claret|bordeaux|merlot",
    Colour.PINK: "pink|rose|magenta|salmon|fuchsia|blush|coral",
    Colour.PURPLE: "purple|violet|lavender|lilac|mauve|plum|indigo|eggplant|aubergine|grape",
    Colour.BLUE: "blue|navy|cobalt|denim|ultramarine",
    Colour.TURQUOISE: "turquoise|teal|aqua|cyan|aquamarine",
    Colour.GREEN: "green|olive|lime|mint|sage|moss|emerald|forest|pine|avocado",
}
_LIGHT_BLUE = 68.0  # L above which XKCD's blues are our light blue


@cache
def prototypes() -> tuple[Floats, tuple[Colour, ...]]:
    """Lab of the names that could be filed, float32 [m, 3], and their colours."""
    values, colours = [], []
    for name, code in XKCD_COLORS.items():
        found = [
            (match.start(), colour)
            for colour, words in _WORDS.items()
            for match in re.finditer(rf"\b({words})\b", name.removeprefix("xkcd:"))
        ]
        if not found:
            continue
        lab = cv2.cvtColor(np.array([[to_rgb(code)]], np.float32), cv2.COLOR_RGB2LAB)[0, 0]
        colour = max(found)[1]
        values.append(lab)
        colours.append(Colour.LIGHTBLUE if colour is Colour.BLUE and lab[0] > _LIGHT_BLUE else colour)
    return np.array(values, np.float32), tuple(colours)


def middle(pixels: Pixels) -> Mask:
    """The middle of the picture: a square of half its side."""
    side = pixels.shape[0]
    mask = np.zeros((side, side), np.bool_)
    mask[side // 4 : -side // 4, side // 4 : -side // 4] = True
    return mask


def grabcut(pixels: Pixels) -> Mask:
    """The item by GrabCut, begun from a frame of an eighth of the side; the middle where it finds nothing."""
    side = pixels.shape[0]
    margin = side // 8
    mask = np.zeros((side, side), np.uint8)
    box = (margin, margin, side - 2 * margin, side - 2 * margin)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(np.ascontiguousarray(pixels[..., ::-1]), mask, box, background, foreground, 3, cv2.GC_INIT_WITH_RECT)
    found = (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)
    return found if found.sum() > 0.02 * side * side else middle(pixels)


def balance(pixels: Pixels) -> Pixels:
    """Shades-of-grey white balance (Minkowski norm 6), not counting the letterbox's bars.

    A white ground counts: it shows what light there is, and the item alone would be taken for the light.
    """
    drawn = np.asarray((pixels < 255).any(axis=2))
    inside = pixels[drawn.any(axis=1)][:, drawn.any(axis=0)].astype(np.float64)
    if inside.size == 0:
        return pixels
    light = np.mean(inside**6, axis=(0, 1)) ** (1 / 6)
    gain = light.mean() / np.maximum(light, 1)
    return np.asarray(np.clip(pixels * gain, 0, 255), np.uint8)


def name(pixels: Pixels, mask: Mask) -> Floats:
    """Votes of the item's pixels for the colours, float32 [18], sums to 1."""
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[mask]
    values, colours = prototypes()
    nearest = ((lab[:, None, :] - values[None]) ** 2).sum(2).argmin(1)
    columns = np.array([COLOURS.index(colour) for colour in colours])
    votes = np.bincount(columns[nearest], minlength=len(COLOURS)).astype(np.float32) / len(nearest)
    if (votes > 0.15).sum() >= 4:
        votes = votes * 0.5
        votes[COLOURS.index(Colour.MULTICOLOUR)] += 0.5
    return np.asarray(votes, np.float32)
