"""The table of figures in the documentation, out of a kept ``report.json``: no figure is ever typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.evaluation.targets import percent, reached

BEGIN, END = "<!-- figures: written by colour-train figures -->", "<!-- end of figures -->"
_SUMS = ("all", "mean", "by cosine")


def write(report: Path, page: Path) -> None:
    """Put the table between the two marks of a Markdown page.

    Raises:
        ValueError: the page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page}: has no lines {BEGIN!r} and {END!r} to write between")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    content = table(json.loads(report.read_text(encoding="utf-8")))
    page.write_text(f"{before}{BEGIN}\n{content}{END}{after}", encoding="utf-8")


def table(report: dict[str, Any]) -> str:
    """Three Markdown tables: what was wanted, all rows, and the tests from the literature."""
    rows, speeds = report["rows"], report.get("speeds", {})
    name, first = next(iter(rows.items()))
    lines = [f"{key}: {value}  " for key, value in report["facts"].items()]
    lines += ["", f"| {name} | measured | wanted |", "|---|---|---|"]
    for target in reached(report):
        lines.append(f"| {target.name} | {'' if target.met else '**missed:** '}{target.measured} | {target.wanted} |")
    interval = f"{percent(first['low'])} to {percent(first['high'])}"
    lines.append(f"| 95 % interval of the strict accuracy, over sellers | {interval} | |")
    lines += [f"| {what} | {percent(value)} | |" for what, value in report["coverage"].items()]
    lines += ["", "| | strict | lenient | top 2 | macro-F1 | ECE | photos/s |", "|---|---|---|---|---|---|---|"]
    for row, found in rows.items():
        top2 = percent(found["top2"]) if found["top2"] is not None else ""
        ece = f"{found['ece']:.3f}" if found["ece"] is not None else ""
        speed = f"{speeds[row]:.0f}" if row in speeds else ""
        lines.append(
            f"| {row} | {percent(found['strict'])} | {percent(found['lenient'])} | {top2} | {found['macro_f1']:.3f} "
            f"| {ece} | {speed} |"
        )
    lines += ["", "| test | |", "|---|---|"]
    for test, results in report["tests"].items():
        # Where a test is summed up, its single colours and queries stay in the report.
        summed = {key: value for key, value in results.items() if key in _SUMS} or results
        lines.append(f"| {test} | {', '.join(f'{key}: {percent(value)}' for key, value in summed.items())} |")
    return "\n".join(lines) + "\n"
