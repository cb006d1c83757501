"""Measure a model repository and its rivals on labelled photos."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from training.captions.titles import prompts
from training.evaluation import literature, naming, queries, titles
from training.evaluation.measures import COLOURS, Figures, Floats, measure, reorder
from training.evaluation.photos import Photos
from training.evaluation.photos import read as read_photos
from training.evaluation.release import Served, load
from training.evaluation.report import Report, write

Pixels = npt.NDArray[np.uint8]

_log = structlog.get_logger(__name__)

_NAMING_SIDE = 96
OURS = "this model, image only"


def evaluate(repository: Path, labelled: Path, out: Path, *, rivals: bool = True, tests: bool = True) -> Report:
    """Write ``report.json`` and ``report.html`` into ``out`` and return what they say.

    Parameters:
        repository: a model repository with an active release.
        labelled: Parquet of labelled photos, see ``photos.read``.
        out: folder of the report.
        rivals: measure them too.
        tests: run the colour tests from the literature too.
    """
    served, photos, report = load(repository), read_photos(labelled), Report()
    pixels = photos.pixels(served.release.image.side)
    began = time.perf_counter()
    images = served.embed_pictures(pixels)
    speed = len(pixels) / (time.perf_counter() - began)
    blind = reorder(served.probabilities(images), served.labels)
    report.facts = {
        "release": " ".join(f"{part}={name}" for part, name in served.release.names.model_dump().items()),
        "photos": f"{labelled.name}, {len(photos)} photos",
        "encoder": f"{served.release.image.side} px, {speed:.0f} images/s in onnxruntime on this machine's CPU",
    }
    report.rows[OURS] = measure(blind, photos.truth, photos.accepted)
    report.coverage = _coverage(served, blind, photos)
    for kind in titles.KINDS:
        texts = served.embed_texts(titles.make(photos, kind))
        told = reorder(served.probabilities(images, texts), served.labels)
        report.rows[f"this model, {kind} title"] = measure(told, photos.truth, photos.accepted)
    report.rows["encoder by prompts alone, without the head"] = measure(
        _prompts(served, images), photos.truth, photos.accepted
    )
    for source in sorted(set(photos.sources) - {""}):
        report.rows[f"this model, image only, {source}"] = _part(blind, photos, source)
    if rivals:
        report.rows |= {name: _named(photos, rule) for name, rule in _RIVALS.items()}
    if tests:
        report.tests = _tests(served, photos, pixels, images)
    write(report, photos, blind, out)
    _log.info("evaluated", strict=round(report.rows[OURS].strict, 4), lenient=round(report.rows[OURS].lenient, 4))
    return report


_RIVALS: dict[str, Callable[[Pixels], Floats]] = {
    "colour naming: middle of the photo, CIELAB, XKCD": lambda picture: naming.name(picture, naming.middle(picture)),
    "colour naming: GrabCut, white balance, CIELAB, XKCD": lambda picture: naming.name(
        naming.balance(picture), naming.grabcut(picture)
    ),
}


def _named(photos: Photos, rule: Callable[[Pixels], Floats]) -> Figures:
    votes = np.stack([rule(picture) for picture in photos.pixels(_NAMING_SIDE)])
    return measure(votes, photos.truth, photos.accepted, calibrated=False)


def _prompts(served: Served, images: Floats) -> Floats:
    """Zero-shot: the nearest colour by its prompts' mean embedding, softmax at a fixed temperature."""
    rows = np.stack([served.embed_texts(prompts(str(colour))).mean(0) for colour in COLOURS])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weights = np.exp(20 * images @ rows.T)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def _part(blind: Floats, photos: Photos, source: str) -> Figures:
    rows = [number for number, found in enumerate(photos.sources) if found == source]
    return measure(blind[rows], [photos.truth[row] for row in rows], [photos.accepted[row] for row in rows])


def _coverage(served: Served, blind: Floats, photos: Photos) -> dict[str, float]:
    """What the threshold costs and buys, on the photos where the annotators agree."""
    known = [number for number, colour in enumerate(photos.truth) if colour is not None]
    sure = blind[known].max(1) >= served.release.head.threshold
    right = np.array([COLOURS[blind[row].argmax()] is photos.truth[row] for row in known])
    found = {"threshold": served.release.head.threshold, "share of photos answered": float(sure.mean())}
    if sure.any():
        found["accuracy where answered"] = float(right[sure].mean())
    return found


def _tests(served: Served, photos: Photos, pixels: Pixels, images: Floats) -> dict[str, dict[str, float]]:
    side = served.release.image.side

    def classify(pictures: Pixels) -> Floats:
        return reorder(served.probabilities(served.embed_pictures(pictures)), served.labels)

    objects = [data for data, source in zip(photos.data, photos.sources, strict=True) if source == "object"]
    found = {
        "white, grey and black on coloured grounds": {"named so": literature.achromatic(classify, side)},
        "a colour word over a garment of another colour, English": literature.stroop(classify, side, russian=False),
        "a colour word over a garment of another colour, Russian": literature.stroop(classify, side, russian=True),
        "accuracy by the distance of garment and ground (CIE76)": literature.contrast(classify, side),
        "accuracy under colder (-) and warmer (+) light": literature.casts(classify, pixels, photos.truth),
    }
    if objects:
        found["objects in colours that they never have"] = literature.unusual(classify, side, objects)
    for language, name in (("ru", "«цвет + предмет»"), ("en", '"colour + item"')):
        each = queries.precision(served, images, photos, "ru" if language == "ru" else "en")
        if each:
            found[f"precision at 10 of {name} queries"] = {"mean": float(np.mean(list(each.values()))), **each}
    return found
