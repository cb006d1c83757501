"""Figures of a classifier on labelled photos. Arrays have one row a photo; columns of probabilities are ``Colour``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.colours import Colour

Floats = npt.NDArray[np.float32]

COLOURS: tuple[Colour, ...] = tuple(Colour)
_NUMBER = {colour: number for number, colour in enumerate(COLOURS)}


@dataclass(frozen=True, slots=True)
class Figures:
    """What a table row shows; shares are in 0..1.

    Parameters:
        strict: accuracy where the annotators agreed, ``n_strict`` photos.
        low, high: its 95 % interval, by a bootstrap over whole sellers.
        lenient: share of all photos whose answer is any annotator's first or second colour, ``n_lenient`` photos.
        top2: the agreed colour is among the two best.
        macro_f1: mean F1 over the colours that occur.
        ece: expected calibration error over 10 equally filled bins; None for rivals without probabilities.
        per_colour: colour -> (recall, precision, photos).
    """

    strict: float
    low: float
    high: float
    lenient: float
    top2: float | None
    macro_f1: float
    ece: float | None
    n_strict: int
    n_lenient: int
    per_colour: dict[str, tuple[float, float, int]]


def reorder(probabilities: Floats, labels: Sequence[Colour]) -> Floats:
    """From a model's label order to that of ``Colour``."""
    found = np.zeros((len(probabilities), len(COLOURS)), np.float32)
    for column, label in enumerate(labels):
        found[:, _NUMBER[label]] = probabilities[:, column]
    return found


def measure(
    probabilities: Floats,
    truth: Sequence[Colour | None],
    accepted: Sequence[frozenset[Colour]],
    sellers: Sequence[str],
    *,
    calibrated: bool = True,
) -> Figures:
    """All figures of one classifier.

    Parameters:
        probabilities: float32 [n, 18] in the order of ``Colour``; one-hot for a rival that only names a colour.
        truth: the agreed colour or None.
        accepted: colours that count in the lenient figure.
        sellers: whose photo it is, "" where unknown. One seller's photos share a room, a lamp and a phone, and are
            right or wrong together: they are drawn together for the interval.
        calibrated: whether the numbers are probabilities at all.
    """
    answers = probabilities.argmax(1)
    known = [number for number, colour in enumerate(truth) if colour is not None]
    right_class = np.array([_NUMBER[colour] for colour in truth if colour is not None])
    mine = answers[known]
    hits = mine == right_class
    low, high = _interval(hits, [sellers[row] or f"#{row}" for row in known])
    best = np.argsort(-probabilities[known], axis=1)[:, :2]
    lenient = [COLOURS[answer] in colours for answer, colours in zip(answers, accepted, strict=True)]
    per_colour: dict[str, tuple[float, float, int]] = {}
    scores = []
    for number, colour in enumerate(COLOURS):
        is_it, said = right_class == number, mine == number
        both = int((is_it & said).sum())
        recall = both / int(is_it.sum()) if is_it.any() else 0.0
        precision = both / int(said.sum()) if said.any() else 0.0
        if is_it.any():
            scores.append(2 * recall * precision / (recall + precision) if both else 0.0)
            per_colour[str(colour)] = (recall, precision, int(is_it.sum()))
    return Figures(
        strict=float(hits.mean()),
        low=low,
        high=high,
        lenient=float(np.mean(lenient)),
        top2=float((best == right_class[:, None]).any(1).mean()) if calibrated else None,
        macro_f1=float(np.mean(scores)),
        ece=calibration_error(probabilities[known].max(1), hits) if calibrated else None,
        n_strict=len(known),
        n_lenient=len(accepted),
        per_colour=per_colour,
    )


def calibration_error(confidence: Floats, hits: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """Mean distance between confidence and accuracy over equally filled bins, weighted by their size."""
    return float(
        sum(
            abs(float(confidence[rows].mean()) - float(hits[rows].mean())) * len(rows) / len(hits)
            for rows in reliability_bins(confidence, bins)
        )
    )


def reliability_bins(confidence: Floats, bins: int = 10) -> list[npt.NDArray[np.intp]]:
    """Row numbers of equally filled bins, from unsure to sure; none is empty."""
    return [rows for rows in np.array_split(np.argsort(confidence), bins) if len(rows)]


def risk_coverage(confidence: Floats, hits: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Coverage and risk (share of wrong answers) when only the surest photos are answered, float32 [n] each."""
    order = np.argsort(-confidence)
    count = np.arange(1, len(order) + 1)
    return (count / len(order)).astype(np.float32), (np.cumsum(~hits[order]) / count).astype(np.float32)


def confusion(answers: npt.NDArray[np.intp], truth: Sequence[Colour | None]) -> npt.NDArray[np.int64]:
    """Photos by agreed colour (rows) and answer (columns), int64 [18, 18]."""
    table = np.zeros((len(COLOURS), len(COLOURS)), np.int64)
    for answer, colour in zip(answers, truth, strict=True):
        if colour is not None:
            table[_NUMBER[colour], answer] += 1
    return table


def precision_at(similarity: Floats, relevant: npt.NDArray[np.bool_], depth: int = 10) -> float:
    """Share of relevant photos among the ``depth`` most similar, or among as many as there are if fewer.

    Parameters:
        similarity: float32 [n], of one query to every photo.
        relevant: bool [n].
        depth: how far a buyer looks.
    """
    depth = min(depth, int(relevant.sum()))
    return float(relevant[np.argsort(-similarity)[:depth]].mean())


def _interval(hits: npt.NDArray[np.bool_], sellers: Sequence[str], rounds: int = 2000) -> tuple[float, float]:
    _, owner = np.unique(sellers, return_inverse=True)
    photos, right = np.bincount(owner), np.bincount(owner, weights=hits)
    drawn = np.random.default_rng(0).integers(0, len(photos), (rounds, len(photos)))
    low, high = np.quantile(right[drawn].sum(1) / photos[drawn].sum(1), (0.025, 0.975))
    return float(low), float(high)
