"""What the default model has to reach, and how far a report says that it got."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OURS = "this model, image only"
UNUSUAL = "objects in colours that they never have"
QUERIES = {"ru": "precision at 10 of «цвет + предмет» queries", "en": 'precision at 10 of "colour + item" queries'}
IMAGES, MEGABYTES = "images a second through Triton", "repository, MB"


@dataclass(frozen=True)
class Target:
    """One figure and its bound.

    Parameters:
        name: as the tables show it.
        find: the figure in a report, None where the report has it not.
        bound: the least of it, or the most.
        most: whether the bound is the most.
        show: how the figure is written.
    """

    name: str
    find: Callable[[Mapping[str, Any]], float | None]
    bound: float
    show: Callable[[float], str]
    most: bool = False


@dataclass(frozen=True)
class Reached:
    """A target and what was measured, both as they are written."""

    name: str
    measured: str
    wanted: str
    met: bool


def percent(share: float) -> str:
    """E.g. 80.3 %."""
    return f"{100 * share:.1f} %"


def _ours(figure: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda report: report["rows"][OURS][figure]


def _test(test: str, figure: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda report: report["tests"].get(test, {}).get(figure)


def _margin(report: Mapping[str, Any]) -> float | None:
    rivals = [report["rows"][name]["strict"] for name in report["rivals"]]
    return report["rows"][OURS]["strict"] - max(rivals) if rivals else None


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


TARGETS = (
    Target("strict accuracy", _ours("strict"), 0.8, percent),
    Target("lenient accuracy", _ours("lenient"), 0.88, percent),
    Target("macro-F1", _ours("macro_f1"), 0.75, "{:.3f}".format),
    Target("expected calibration error", _ours("ece"), 0.05, "{:.3f}".format, most=True),
    Target("strict accuracy above the best rival's", _margin, 0.1, _points),
    Target(UNUSUAL, _test(UNUSUAL, "all"), 0.9, percent),
    *(Target(name, _test(name, "mean"), 0.7, percent) for name in QUERIES.values()),
    Target(IMAGES, lambda report: report["served"].get(IMAGES), 100, "{:.0f}".format),
    Target(MEGABYTES, lambda report: report["served"].get(MEGABYTES), 40, "{:.0f}".format, most=True),
)


def reached(report: Mapping[str, Any]) -> Iterator[Reached]:
    """Every target whose figure a report has.

    Parameters:
        report: what ``report.json`` holds.
    """
    for target in TARGETS:
        found = target.find(report)
        if found is None:
            continue
        met = found <= target.bound if target.most else found >= target.bound
        wanted = f"{target.show(target.bound)} or {'less' if target.most else 'more'}"
        yield Reached(target.name, target.show(found), wanted, met)
