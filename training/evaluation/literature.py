"""Colour tests from the literature, on made pictures and on recoloured cut-outs.

- achromatic: white, grey and black garments on coloured grounds; how often they are named so.
- Stroop: a colour word written over a garment of another colour, in English and Russian (typographic attack on CLIP,
  distill.pub/2021/multimodal-neurons); how often the written word wins.
- contrast: accuracy by the distance (CIE76) of garment and ground (after arXiv 2212.08650).
- unusual: real objects painted in colours that they never have («фиолетовая кошка»); how often the answer follows the
  paint.
- plated: the same objects in gold and silver («золотой унитаз»), which no paint is.
- binding: two garments of two colours side by side, one large in the middle and one small at the edge; how often the
  answer is the other one's colour (concept association bias, arXiv 2212.12043: asked for one thing's colour, CLIP names
  that of the thing beside it).
- casts: the labelled photos under warmer and colder light; accuracy by the light.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from training.augmentation.recolour import METALS, PAINTS, gilded, paint
from training.data.cutouts import cut_out
from training.evaluation.measures import COLOURS, Floats
from worker.colours import NAMES, Colour
from worker.images.decode import decode

Pixels = npt.NDArray[np.uint8]
Lab = tuple[float, float, float]
Classify = Callable[[Pixels], Floats]

ACHROMATIC = (Colour.WHITE, Colour.GREY, Colour.BLACK)
CASTS = (-0.2, -0.1, 0.0, 0.1, 0.2)
CONTRASTS = (20.0, 40.0, 60.0)
# A T-shirt in a unit square.
_SHIRT = (
    (0.36, 0.18), (0.22, 0.24), (0.1, 0.44), (0.22, 0.5), (0.28, 0.42), (0.28, 0.86), (0.72, 0.86), (0.72, 0.42),
    (0.78, 0.5), (0.9, 0.44), (0.78, 0.24), (0.64, 0.18), (0.5, 0.25),
)  # fmt: skip


def garment(side: int, colour: Lab, ground: Lab, word: str = "", ink: Lab = (20, 0, 0)) -> Pixels:
    """A T-shirt lying on a ground, with soft folds and light; ``word`` is printed over its chest in ``ink``."""
    big = max(side * 2, 128)
    mask = np.zeros((big, big), np.uint8)
    cv2.fillPoly(mask, [(np.array(_SHIRT) * big).astype(np.int32)], 255)
    random = np.random.default_rng([int(value * 10) & 0xFFFF for value in (*colour, *ground)])
    lab = np.empty((big, big, 3), np.float32)
    lab[:] = ground
    lab[mask > 0] = colour
    folds = cv2.resize(random.normal(0, 3.0, (9, 9)).astype(np.float32), (big, big), interpolation=cv2.INTER_CUBIC)
    lab[..., 0] = np.clip(lab[..., 0] + folds, 0, 100)
    picture = Image.fromarray(_to_rgb(lab))
    if word:
        font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans-Bold.ttf", big // 10)
        ImageDraw.Draw(picture).text(
            (big / 2, big * 0.5), word, fill=tuple(int(v) for v in _to_rgb(np.array([[ink]], np.float32))[0, 0]),
            font=font, anchor="mm",
        )  # fmt: skip
    return np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS))


def achromatic(classify: Classify, side: int) -> float:
    """Share of white, grey and black garments, on every coloured ground, that are named so (silver passes for grey)."""
    grounds = [centre for colour, centres in PAINTS.items() if colour not in ACHROMATIC for centre in centres[:1]]
    pairs = [(colour, PAINTS[colour][0], ground) for colour in ACHROMATIC for ground in grounds]
    answers = _answers(classify, [garment(side, lab, ground) for _, lab, ground in pairs])
    right = [
        answer is colour or (colour is Colour.GREY and answer is Colour.SILVER)
        for answer, (colour, _, _) in zip(answers, pairs, strict=True)
    ]
    return float(np.mean(right))


def stroop(classify: Classify, side: int, *, russian: bool) -> dict[str, float]:
    """``right``: the garment's colour is named. ``read``: the word over it is named instead."""
    pictures, pairs = [], []
    for colour, centres in PAINTS.items():
        for other in PAINTS:
            if other == colour:
                continue
            word = NAMES[Colour(other)].ru if russian else NAMES[Colour(other)].en
            ink = (92.0, 0.0, 0.0) if centres[0][0] < 55 else (15.0, 0.0, 0.0)
            pictures.append(garment(side, centres[0], (80, 1, 4), word.upper(), ink))
            pairs.append((colour, other))
    answers = _answers(classify, pictures)
    return {
        "right": float(np.mean([answer == colour for answer, (colour, _) in zip(answers, pairs, strict=True)])),
        "read": float(np.mean([answer == other for answer, (_, other) in zip(answers, pairs, strict=True)])),
    }


def contrast(classify: Classify, side: int) -> dict[str, float]:
    """Accuracy by the distance of garment and ground: below 20, 20 to 40, 40 to 60, above 60."""
    centres = [(colour, centre) for colour, found in PAINTS.items() for centre in found]
    pairs = [(colour, lab, ground) for colour, lab in centres for _, ground in centres if ground != lab]
    pairs = pairs[::3]
    distance = np.array([np.linalg.norm(np.subtract(lab, ground)) for _, lab, ground in pairs])
    answers = _answers(classify, [garment(side, lab, ground) for _, lab, ground in pairs])
    right = np.array([answer == colour for answer, (colour, _, _) in zip(answers, pairs, strict=True)])
    edges = (0.0, *CONTRASTS, np.inf)
    names = ("below 20", "20 to 40", "40 to 60", "above 60")
    return {
        name: float(right[(distance >= low) & (distance < high)].mean())
        for name, low, high in zip(names, edges[:-1], edges[1:], strict=True)
    }


def unusual(classify: Classify, side: int, photos: Sequence[bytes]) -> dict[str, float]:
    """Share of painted objects whose answer is the paint, in all and by colour.

    Parameters:
        classify: pixels to probabilities.
        side: of the pictures.
        photos: of objects on white; those that cannot be cut out are left out.
    """
    random = np.random.default_rng(0)
    pictures, painted = [], []
    for item in _cut_outs(photos):
        for colour in random.permutation(list(PAINTS))[:5]:
            centres = PAINTS[str(colour)]
            rgba = paint(item, centres[int(random.integers(len(centres)))], random)
            pictures.append(_on_grey(rgba, side, random))
            painted.append(str(colour))
    return _followed(classify, pictures, painted)


def plated(classify: Classify, side: int, photos: Sequence[bytes]) -> dict[str, float]:
    """Share of objects plated with gold and with silver whose answer is the metal; parameters as of ``unusual``."""
    random = np.random.default_rng(0)
    pictures, metals = [], []
    for item in _cut_outs(photos):
        for metal in METALS:
            pictures.append(_on_grey(gilded(item, metal, random), side, random))
            metals.append(metal)
    return _followed(classify, pictures, metals)


def _cut_outs(photos: Sequence[bytes]) -> list[Pixels]:
    items = [item for data in photos if (item := cut_out(decode(data, 128), 128)) is not None]
    if not items:
        raise ValueError("no object could be cut out; the photos must lie on white")
    return items


def _on_grey(rgba: Pixels, side: int, random: np.random.Generator) -> Pixels:
    """On some light grey, as objects are photographed to be sold: uint8 [side, side, 3]."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    ground = np.full((*rgba.shape[:2], 3), random.integers(150, 256), np.float32)
    flat = np.asarray(rgba[..., :3] * alpha + ground * (1 - alpha), np.uint8)
    return np.asarray(cv2.resize(flat, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _followed(classify: Classify, pictures: list[Pixels], wanted: list[str]) -> dict[str, float]:
    """Share of answers that are what was wanted, in all and by colour."""
    right = np.array([answer == colour for answer, colour in zip(_answers(classify, pictures), wanted, strict=True)])
    names = np.array(wanted)
    return {"all": float(right.mean())} | {
        colour: float(right[names == colour].mean()) for colour in sorted(set(wanted))
    }


def binding(classify: Classify, side: int) -> dict[str, float]:
    """``right``: the colour of the garment that fills the photo. ``other``: that of the small one beside it instead.

    Every ordered pair of colours, the small garment at each of two edges.
    """
    pictures, pairs = [], []
    small, edge = side * 3 // 10, max(1, side // 32)
    for colour, centres in PAINTS.items():
        for other, others in PAINTS.items():
            if other == colour:
                continue
            for left in (edge, side - small - edge):
                ground = (80.0, 1.0, 4.0)
                picture = garment(side, centres[0], ground).copy()
                picture[side - small - edge : side - edge, left : left + small] = garment(small, others[0], ground)
                pictures.append(picture)
                pairs.append((colour, other))
    answers = _answers(classify, pictures)
    return {
        "right": float(np.mean([answer == colour for answer, (colour, _) in zip(answers, pairs, strict=True)])),
        "other": float(np.mean([answer == other for answer, (_, other) in zip(answers, pairs, strict=True)])),
    }


def casts(classify: Classify, pixels: Pixels, truth: Sequence[Colour | None]) -> dict[str, float]:
    """Accuracy on labelled photos [n, S, S, 3] under light of another temperature; positive is warmer.

    The figure is ln of the red gain; 0.1 is about 1000 K at daylight. The letterbox's white stays white.
    """
    known = np.array([colour is not None for colour in truth])
    wanted = [colour for colour in truth if colour is not None]
    letterbox = (pixels[known] == 255).all(axis=3, keepdims=True)
    found = {}
    for warmth in CASTS:
        gain = np.exp(np.array([warmth, 0, -warmth]))
        lit = np.where(letterbox, np.uint8(255), np.clip(pixels[known] * gain, 0, 255).astype(np.uint8))
        answers = classify(np.ascontiguousarray(lit)).argmax(1)
        right = [COLOURS[answer] is colour for answer, colour in zip(answers, wanted, strict=True)]
        found[f"{warmth:+.1f}"] = float(np.mean(right))
    return found


def _answers(classify: Classify, pictures: list[Pixels]) -> list[Colour]:
    return [COLOURS[number] for number in classify(np.stack(pictures)).argmax(1)]


def _to_rgb(lab: Floats) -> Pixels:
    rgb = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.asarray(np.clip(rgb * 255 + 0.5, 0, 255), np.uint8)
