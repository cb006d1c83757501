"""``report.json`` and ``report.html``: what was wanted, one table for all, then where each errs, and how sure."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from training.evaluation.measures import COLOURS, Floats, confusion, reliability_bins, risk_coverage
from training.evaluation.photos import Photos
from training.evaluation.row import Row
from training.evaluation.targets import reached
from worker.colours import NAMES

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_WORST, _WORST_OF_OTHERS = 36, 12


@dataclass
class Report:
    """What was measured.

    Parameters:
        rows: name -> what one classifier did, in the order of the table; the first is this model, image only.
        tests: name -> test -> figure in 0..1.
        facts: what was measured on what: releases, photos, speed.
        coverage: of the decision that is not ``uncertain``, and the accuracy where it is not.
        served: megabytes of the repository, and images a second through Triton, if that was measured.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    tests: dict[str, dict[str, float]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    coverage: dict[str, float] = field(default_factory=dict)
    served: dict[str, float] = field(default_factory=dict)

    @property
    def speeds(self) -> dict[str, float]:
        """Name -> photos a second on the CPU, from decoded pixels on, where it was measured."""
        return {name: row.speed for name, row in self.rows.items() if row.speed is not None}

    def as_json(self) -> dict[str, Any]:
        """What ``report.json`` holds."""
        return {
            "rows": {name: asdict(row.figures) for name, row in self.rows.items()},
            "rivals": [name for name, row in self.rows.items() if row.rival],
            "speeds": self.speeds,
            "tests": self.tests,
            "facts": self.facts,
            "coverage": self.coverage,
            "served": self.served,
        }


@dataclass(frozen=True)
class _Diagnosis:
    """Where a classifier errs, as the page shows it; ``reliability`` and ``risk`` only where it says how sure it is."""

    name: str
    row: Row
    confusion: str
    reliability: str
    risk: str
    worst: Sequence[dict[str, Any]]


def write(report: Report, photos: Photos, out: Path) -> None:
    """Write both files into ``out``. The galleries show photos: keep the page with the data, not with the code.

    Parameters:
        report: figures and answers.
        photos: the labelled set.
        out: a folder; made if it is not there.
    """
    out.mkdir(parents=True, exist_ok=True)
    content = report.as_json()
    (out / "report.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        report=report,
        names=NAMES,
        targets=list(reached(content)),
        first=next(iter(report.rows.values())).figures,
        diagnoses=_diagnoses(report, photos),
    )
    (out / "report.html").write_text(page, encoding="utf-8")


def _diagnoses(report: Report, photos: Photos) -> list[_Diagnosis]:
    known = np.array([number for number, colour in enumerate(photos.truth) if colour is not None])
    right = np.array([COLOURS.index(colour) for colour in photos.truth if colour is not None])
    found: list[_Diagnosis] = []
    for name, row in report.rows.items():
        if row.answers is None:
            continue
        confidence = row.answers[known].max(1)
        hits = row.answers[known].argmax(1) == right
        found.append(
            _Diagnosis(
                name,
                row,
                confusion=_confusion(confusion(row.answers.argmax(1), photos.truth)),
                reliability=_reliability(confidence, hits) if row.calibrated else "",
                risk=_risk(confidence, hits) if row.calibrated else "",
                worst=_worst(photos, row.answers, _WORST_OF_OTHERS if found else _WORST),
            )
        )
    return found


def _confusion(table: npt.NDArray[np.int64]) -> str:
    figure = Figure(figsize=(8.5, 7.5), layout="constrained")
    axes = figure.subplots()
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [str(colour) for colour in COLOURS]
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("answer")
    axes.set_ylabel("agreed colour")
    for row, column in zip(*np.nonzero(table), strict=True):
        shade = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(table[row, column]), ha="center", va="center", color=shade, fontsize=8)
    return _svg(figure)


def _reliability(confidence: Floats, hits: npt.NDArray[np.bool_]) -> str:
    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    axes = figure.subplots()
    bins = reliability_bins(confidence)
    axes.plot([0, 1], [0, 1], color="#999", linewidth=1)
    axes.plot([confidence[rows].mean() for rows in bins], [hits[rows].mean() for rows in bins], marker="o")
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    return _svg(figure)


def _risk(confidence: Floats, hits: npt.NDArray[np.bool_]) -> str:
    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(*risk_coverage(confidence, hits))
    axes.set(xlabel="share of photos answered", ylabel="share of wrong answers", xlim=(0, 1), ylim=(0, None))
    return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "colour-tagger", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]


def _worst(photos: Photos, probabilities: Floats, count: int) -> Sequence[dict[str, Any]]:
    """The surest answers that no annotator would give."""
    answers = probabilities.argmax(1)
    wrong = [row for row in range(len(photos)) if COLOURS[answers[row]] not in photos.accepted[row]]
    wrong.sort(key=lambda row: -float(probabilities[row].max()))
    return [
        {
            "photo": base64.b64encode(photos.data[row]).decode(),
            "accepted": ", ".join(sorted(photos.accepted[row])),
            "answer": str(COLOURS[answers[row]]),
            "confidence": float(probabilities[row].max()),
        }
        for row in wrong[:count]
    ]
