"""A line of the table: a classifier's figures, and the answers that its diagrams are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

from training.evaluation.measures import Figures, Floats, measure
from training.evaluation.photos import Photos


@dataclass(frozen=True)
class Row:
    """What one classifier did with the labelled photos.

    Parameters:
        figures: on them.
        answers: float32 [n, 18] in the order of ``Colour``, of all n photos; None where it was asked about a part.
        calibrated: whether the answers are probabilities at all, and not just a colour's name.
        rival: whether it is something else than this model.
        speed: photos a second on this machine's CPU, from decoded pixels on; None where it was not measured.
    """

    figures: Figures
    answers: Floats | None = None
    calibrated: bool = True
    rival: bool = False
    speed: float | None = None

    @classmethod
    def of(
        cls,
        photos: Photos,
        answers: Floats,
        *,
        calibrated: bool = True,
        rival: bool = False,
        speed: float | None = None,
    ) -> Row:
        """Measure what a classifier answered to all photos."""
        figures = measure(answers, photos.truth, photos.accepted, photos.sellers, calibrated=calibrated)
        return cls(figures, answers, calibrated, rival, speed)
