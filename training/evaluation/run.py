"""Measure a model repository and its rivals on labelled photos."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import structlog

from training import runs
from training.captions.titles import prompts
from training.evaluation import literature, queries, titles
from training.evaluation import rivals as others
from training.evaluation.measures import COLOURS, Figures, Floats, measure, reorder
from training.evaluation.photos import Photos
from training.evaluation.photos import read as read_photos
from training.evaluation.release import Served, load
from training.evaluation.report import Report, write
from training.evaluation.row import Row
from training.evaluation.targets import IMAGES, MEGABYTES, OURS, QUERIES, UNUSUAL
from training.evaluation.throughput import Measured
from training.stages import labelling

Pixels = npt.NDArray[np.uint8]

_log = structlog.get_logger(__name__)


def evaluate(
    repository: Path,
    labelled: Path,
    out: Path,
    *,
    trained: Path | None = None,
    rivals: bool = True,
    tests: bool = True,
    throughput: Measured | None = None,
) -> Report:
    """Write ``report.json`` and ``report.html`` into ``out`` and return what they say.

    Parameters:
        repository: a model repository with an active release.
        labelled: Parquet of labelled photos, see ``photos.read``.
        out: folder of the report.
        trained: folder of the model's stages, for the rivals and the base that were trained there, and for the
            sellers of whom other photos had labels: what it does with their photos is told apart from the rest.
        rivals: measure them too.
        tests: run the colour tests from the literature too.
        throughput: what the real Triton did with the same release, if that was measured.
    """
    served, photos, report = load(repository), read_photos(labelled), Report()
    sellers = labelling.sellers(trained) if trained is not None else frozenset()
    pixels = photos.pixels(served.release.image.side)
    began = time.perf_counter()
    images = served.embed_pictures(pixels)
    speed = len(pixels) / (time.perf_counter() - began)
    blind = reorder(served.probabilities(images), served.labels)
    report.facts = {
        "release": " ".join(f"{part}={name}" for part, name in served.release.names.model_dump().items()),
        "photos": f"{labelled.name}, {len(photos)} photos",
        "its SHA-256": runs.sha256(labelled),
        "encoder": f"{served.release.image.side} px, {speed:.0f} images/s in onnxruntime on this machine's CPU",
        "machine": f"{runs.processor()}, {len(os.sched_getaffinity(0))} cores",
    }
    if photos.skipped.rows:
        reasons = "; ".join(f"{identifier}: {reason}" for identifier, reason in photos.skipped.rows[:5])
        report.facts["rows that could not be used"] = f"{len(photos.skipped.rows)} ({reasons})"
    report.served[MEGABYTES] = sum(file.stat().st_size for file in repository.rglob("*") if file.is_file()) / 1e6
    if throughput is not None:
        report.facts["Triton"] = str(throughput)
        report.served[IMAGES] = throughput.images
    report.rows[OURS] = Row.of(photos, blind, speed=speed)
    report.coverage = _coverage(served, blind, photos)
    for kind in titles.KINDS:
        texts = served.embed_texts(titles.make(photos, kind))
        told = reorder(served.probabilities(images, texts), served.labels)
        report.rows[f"this model, {kind} title"] = Row.of(photos, told)
    report.rows["encoder by prompts alone, without the head"] = Row.of(photos, _prompts(served, images))
    for source in sorted(set(photos.sources) - {""}):
        report.rows[f"{OURS}, {source}"] = Row(_part(blind, photos, [found == source for found in photos.sources]))
    for known, name in ((True, "sellers with labelled photos"), (False, "sellers without labelled photos")):
        rows = [seller != "" and (seller in sellers) == known for seller in photos.sellers]
        if sellers and any(rows):
            report.rows[f"{OURS}, {name}"] = Row(_part(blind, photos, rows))
    if rivals:
        report.rows |= dict(others.rows(photos, trained))
        if untrained := others.missing(trained):
            report.facts["not measured, since not trained"] = "; ".join(untrained)
    if tests:
        report.tests = _tests(served, photos, pixels, images, blind)
    write(report, photos, out)
    ours = report.rows[OURS].figures
    _log.info("evaluated", strict=round(ours.strict, 4), lenient=round(ours.lenient, 4))
    return report


def _prompts(served: Served, images: Floats) -> Floats:
    """Zero-shot: the nearest colour by its prompts' mean embedding, softmax at a fixed temperature."""
    rows = np.stack([served.embed_texts(prompts(str(colour))).mean(0) for colour in COLOURS])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weights = np.exp(20 * images @ rows.T)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def _part(blind: Floats, photos: Photos, wanted: Sequence[bool]) -> Figures:
    rows = [number for number, mine in enumerate(wanted) if mine]
    truth, accepted, sellers = photos.truth, photos.accepted, photos.sellers
    return measure(
        blind[rows], [truth[row] for row in rows], [accepted[row] for row in rows], [sellers[row] for row in rows]
    )


def _coverage(served: Served, blind: Floats, photos: Photos) -> dict[str, float]:
    """What the threshold costs and buys, on the photos where the annotators agree."""
    known = [number for number, colour in enumerate(photos.truth) if colour is not None]
    sure = blind[known].max(1) >= served.release.head.threshold
    right = np.array([COLOURS[blind[row].argmax()] is photos.truth[row] for row in known])
    found = {"threshold": served.release.head.threshold, "share of photos answered": float(sure.mean())}
    if sure.any():
        found["accuracy where answered"] = float(right[sure].mean())
    return found


def _tests(
    served: Served, photos: Photos, pixels: Pixels, images: Floats, blind: Floats
) -> dict[str, dict[str, float]]:
    side = served.release.image.side

    def classify(pictures: Pixels) -> Floats:
        return reorder(served.probabilities(served.embed_pictures(pictures)), served.labels)

    objects = [data for data, source in zip(photos.data, photos.sources, strict=True) if source == "object"]
    found = {
        "white, grey and black on coloured grounds": {"named so": literature.achromatic(classify, side)},
        "a colour word over a garment of another colour, English": literature.stroop(classify, side, russian=False),
        "a colour word over a garment of another colour, Russian": literature.stroop(classify, side, russian=True),
        "two garments of two colours: the large one's or the small one's": literature.binding(classify, side),
        "accuracy by the distance of garment and ground (CIE76)": literature.contrast(classify, side),
        "accuracy under colder (-) and warmer (+) light": literature.casts(classify, pixels, photos.truth),
    }
    if objects:
        found[UNUSUAL] = literature.unusual(classify, side, objects)
        found["objects plated with gold and silver"] = literature.plated(classify, side, objects)
    words = queries.Words.of(served)
    languages: tuple[Literal["ru", "en"], ...] = ("ru", "en")
    for language in languages:
        by_cosine, each = (
            queries.precision(served, photos, words=words, images=images, colours=blind, language=language, way=way)
            for way in ("cosine", "parts")
        )
        if each:
            means = {"mean": float(np.mean(list(each.values()))), "by cosine": float(np.mean(list(by_cosine.values())))}
            found[QUERIES[language]] = means | each
    return found
