"""``python -m tests.benchmarks.document``: write the newest results into the table of ``docs/performance.md``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import typer

from deploy.local.steps import REPOSITORY
from tests.benchmarks.report import RESULTS

Run = Mapping[str, Any]
Figure = Mapping[str, Any]

PAGE = REPOSITORY / "docs" / "performance.md"
_PLACE = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- /results -->)", re.DOTALL)


def newest(runs: Iterable[Run]) -> dict[str, tuple[Figure, Run]]:
    """Every figure as it was measured last, and the run that it is from; in the order in which they first appeared.

    Parameters:
        runs: of all results files, oldest first.
    """
    found: dict[str, tuple[Figure, Run]] = {}
    for run in runs:
        found |= {figure["figure"]: (figure, run) for figure in run["figures"]}
    return found


def table(runs: Iterable[Run]) -> str:
    """In Markdown: a row for each figure, the runs they are from, and how each was measured."""
    figures = newest(runs)
    lines = [
        "Each figure as `make bench` measured it last; written here by `python -m tests.benchmarks.document`.",
        "",
        "| figure | target | measured | run (UTC) | made of |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(figure, run) for figure, run in figures.values()]
    lines += ["", "The runs:", ""]
    used = sorted({run["measured_at"]: run for _, run in figures.values()}.items())
    lines += [_described(run) for _, run in used]
    lines += ["", "How they were measured:", ""]
    lines += [f"- {figure['figure']}: {figure['note']}." for figure, _ in figures.values() if figure.get("note")]
    return "\n".join(lines) + "\n"


def _moment(run: Run) -> str:
    return str(run["measured_at"])[:16].replace("T", " ")


def _described(run: Run) -> str:
    machine = run["machine"]
    return (
        f"- {_moment(run)}: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB, "
        f"Python {machine['python']}, commit {machine['commit']}, load before it {machine['load_before']:g}"
    )


def _row(figure: Figure, run: Run) -> str:
    if "error" in figure:
        return f"| {figure['figure']} | | **failed** | {_moment(run)} | {figure['error']} |"
    value = f"{figure['value']:,.4g}" + ("" if figure["unit"] == "ratio" else f" {figure['unit']}")
    made = ", ".join(
        f"{name} {part}" if isinstance(part, str) else f"{name} {part:,.4g}" for name, part in figure["parts"].items()
    )
    missed = "" if figure["met"] else "**missed:** "
    return f"| {figure['figure']} | {figure['target']} | {missed}{value} | {_moment(run)} | {made} |"


def main(page: Path = PAGE) -> None:
    """Replace what stands between the page's two marks."""
    runs = [run for file in sorted(RESULTS.glob("*.json")) for run in json.loads(file.read_text())["runs"]]
    text, places = _PLACE.subn(lambda _: table(runs), page.read_text(encoding="utf-8"))
    if places != 1:
        raise typer.BadParameter(f"{page} has {places} places for results; it needs one")
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
