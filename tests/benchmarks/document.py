"""``python -m tests.benchmarks.document``: write the newest results file into the table of ``docs/performance.md``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from deploy.local.steps import REPOSITORY
from tests.benchmarks.report import RESULTS

PAGE = REPOSITORY / "docs" / "performance.md"
_PLACE = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- /results -->)", re.DOTALL)


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """The runs of a results file in Markdown: what they were measured on, and a row for each figure."""
    machine = runs[-1]["machine"]
    moments = ", ".join(
        f"{run['measured_at'][11:16]} (load before it {run['machine']['load_before']:g})" for run in runs
    )
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB"
    lines = [
        f"Measured on {runs[-1]['measured_at'][:10]} ({where}, Python {machine['python']}) by `make bench`,",
        f"in runs that ended at {moments} UTC; written here by `python -m tests.benchmarks.document`.",
        "",
        "| figure | target | measured | made of |",
        "|---|---|---|---|",
    ]
    figures = [figure for run in runs for figure in run["figures"]]
    lines += [_row(figure) for figure in figures]
    lines += ["", "How they were measured:", ""]
    lines += [f"- {figure['figure']}: {figure['note']}." for figure in figures if figure.get("note")]
    return "\n".join(lines) + "\n"


def _row(figure: Mapping[str, Any]) -> str:
    if "error" in figure:
        return f"| {figure['figure']} | | **failed** | {figure['error']} |"
    value = f"{figure['value']:,.4g}" + ("" if figure["unit"] == "ratio" else f" {figure['unit']}")
    made = ", ".join(
        f"{name} {part}" if isinstance(part, str) else f"{name} {part:,.4g}" for name, part in figure["parts"].items()
    )
    missed = "" if figure["met"] else "**missed:** "
    return f"| {figure['figure']} | {figure['target']} | {missed}{value} | {made} |"


def main(page: Path = PAGE) -> None:
    """Replace what stands between the page's two marks."""
    newest = max(RESULTS.glob("*.json"))
    runs = json.loads(newest.read_text())["runs"]
    text, places = _PLACE.subn(lambda _: table(runs), page.read_text(encoding="utf-8"))
    if places != 1:
        raise typer.BadParameter(f"{page} has {places} places for results; it needs one")
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
