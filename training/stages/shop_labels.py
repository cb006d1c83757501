"""What a shop's word for a colour is worth: learnt from photos that somebody looked at, applied to the others.

A shop says "Blue" of turquoise and "Red" of burgundy, and names a bag after its lining. From some hundred of its photos
that somebody looked at one can learn what its words come to: a logistic regression from the word, the item's own CIELAB
statistics and the first round's embedding to the colour that was seen. It is used only if out-of-fold answers on those
photos are right more often than the shop is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

FOLDS = 5
STRENGTHS = (0.03, 0.1, 0.3, 1.0)
"""Of the regression (scikit-learn's C); the best out of fold is taken."""

LEAST = 180
"""Photos looked at under which the shop's own word stands: ten a colour."""

_LAB_SCALE = np.array([25, 20, 20, 10, 8, 8], np.float32)


@dataclass(frozen=True)
class Corrected:
    """What came of it.

    Parameters:
        targets: float32 [N, 18]; rows of zeros where somebody looked and could not tell.
        seen: photos that somebody looked at, and on which this was learnt and measured.
        shop, learnt: share of them on which the shop's word, and the out-of-fold answer, is the colour seen; nan
            where too few were looked at, and for ``learnt`` where all were, so that nothing had to be learnt.
        used: whether the learnt answer replaced the shop's word where nobody looked.
    """

    targets: NDArray[np.float32]
    seen: int
    shop: float
    learnt: float
    used: bool


def features(z: NDArray[np.float32], word: NDArray[np.float32], lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inputs of the regression, float32 [N, D + 18 + 6], each part of about the same weight."""
    return np.concatenate([z * 4, np.sqrt(word) * 2, lab / _LAB_SCALE], axis=1).astype(np.float32)


def corrected(
    embeddings: Callable[[], NDArray[np.float32]],
    word: NDArray[np.float32],
    lab: NDArray[np.float32],
    eye: NDArray[np.float32],
    listed: NDArray[np.bool_],
    *,
    fitted: NDArray[np.bool_],
) -> Corrected:
    """Targets of all photos.

    Parameters:
        embeddings: computes the normalised embeddings, float32 [N, D]; called only where something is to be learnt.
        word: the shops' labels as distributions, float32 [N, 18].
        lab: ``cutouts.lab_statistics`` of the items, float32 [N, 6].
        eye: labels given by eye, float32 [N, 18]; rows of zeros where nobody could tell.
        listed: whether somebody looked, bool [N].
        fitted: photos that may be learnt from (not those held out), bool [N].
    """
    targets = word.copy()
    rows = np.nonzero(listed & fitted & (eye.sum(1) > 0))[0]
    shop = learnt = float("nan")
    used = False
    if len(rows) >= LEAST:
        shop = float((word[rows].argmax(1) == eye[rows].argmax(1)).mean())
    if len(rows) >= LEAST and not listed.all():
        x = features(embeddings(), word, lab)
        found = {strength: _out_of_fold(x[rows], eye[rows], strength) for strength in STRENGTHS}
        best = max(found, key=lambda strength: found[strength])
        learnt = found[best]
        used = learnt > shop
        if used:
            targets = _answers(_fit(x[rows], eye[rows], best), x)
    targets[listed] = eye[listed]
    return Corrected(targets, len(rows), round(shop, 4), round(learnt, 4), used)


def _fit(x: NDArray[np.float32], target: NDArray[np.float32], strength: float) -> LogisticRegression:
    """A regression on soft targets: every colour of a photo is an example with its share as weight."""
    row, colour = np.nonzero(target)
    return LogisticRegression(C=strength, max_iter=400).fit(x[row], colour, sample_weight=target[row, colour])


def _answers(model: LogisticRegression, x: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.zeros((len(x), 18), np.float32)
    out[:, model.classes_] = model.predict_proba(x)
    return out


def _out_of_fold(x: NDArray[np.float32], target: NDArray[np.float32], strength: float) -> float:
    """Share of photos whose colour is answered right by a regression that has not seen them."""
    right = 0
    for learnt, asked in KFold(FOLDS, shuffle=True, random_state=0).split(x):
        model = _fit(x[learnt], target[learnt], strength)
        right += int((_answers(model, x[asked]).argmax(1) == target[asked].argmax(1)).sum())
    return right / len(x)
