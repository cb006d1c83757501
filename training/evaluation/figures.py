"""The table of figures in the documentation, out of a kept ``report.json``: no figure is ever typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures: written by colour-train figures -->", "<!-- end of figures -->"
_SUMS = ("all", "mean", "by cosine")
_WANTED = {
    "strict accuracy": ("strict", 0.8, "80 %"),
    "lenient accuracy": ("lenient", 0.88, "88 %"),
    "macro-F1": ("macro_f1", 0.75, "0.75"),
    "ECE": ("ece", -0.05, "0.05 or less"),
}
"""Of each figure: its name in the report, the least of it (negative: the most, negated), and how that is written."""


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
    measured = {
        "strict accuracy": f"{_percent(first['strict'])} [{_percent(first['low'])}, {_percent(first['high'])}]",
        "lenient accuracy": _percent(first["lenient"]),
        "macro-F1": f"{first['macro_f1']:.3f}",
        "ECE": f"{first['ece']:.3f}",
    }
    lines = [f"{key}: {value}  " for key, value in report["facts"].items()]
    lines += ["", f"| {name} | measured | wanted |", "|---|---|---|"]
    for what, value in measured.items():
        key, least, wanted = _WANTED[what]
        met = first[key] >= least if least > 0 else -first[key] >= least
        lines.append(f"| {what} | {'' if met else '**missed:** '}{value} | {wanted} |")
    lines += [f"| {what} | {_percent(value)} | |" for what, value in report["coverage"].items()]
    lines += ["", "| | strict | lenient | top 2 | macro-F1 | ECE | photos/s |", "|---|---|---|---|---|---|---|"]
    for row, found in rows.items():
        top2 = _percent(found["top2"]) if found["top2"] is not None else ""
        ece = f"{found['ece']:.3f}" if found["ece"] is not None else ""
        speed = f"{speeds[row]:.0f}" if row in speeds else ""
        lines.append(
            f"| {row} | {_percent(found['strict'])} | {_percent(found['lenient'])} | {top2} | {found['macro_f1']:.3f} "
            f"| {ece} | {speed} |"
        )
    lines += ["", "| test | |", "|---|---|"]
    for test, results in report["tests"].items():
        # Where a test is summed up, its single colours and queries stay in the report.
        summed = {key: value for key, value in results.items() if key in _SUMS} or results
        lines.append(f"| {test} | {', '.join(f'{key}: {_percent(value)}' for key, value in summed.items())} |")
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
