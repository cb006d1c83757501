"""What a figure says, as a row of the table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.benchmarks.arithmetic import Target

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Parameters:
        figure: its name, as in the issue's table.
        value: what was measured.
        target: what it has to reach.
        unit: of the value; empty for a ratio.
        parts: what the value was made of, with units in the names.
        note: what a reader must know to judge it.
    """

    figure: str
    value: float
    target: Target
    unit: str = ""
    parts: Mapping[str, float | str] = field(default_factory=dict)
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.target.met(self.value)

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return {
            "figure": self.figure,
            "value": round(self.value, 4),
            "unit": self.unit or "ratio",
            "target": str(self.target),
            "met": self.met,
            "parts": {name: part if isinstance(part, str) else round(part, 3) for name, part in self.parts.items()},
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Failure:
    """A figure that could not be measured."""

    figure: str
    error: str

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return {"figure": self.figure, "error": self.error}


Entry = Row | Failure


def table(entries: Sequence[Entry]) -> Table:
    """For a person."""
    shown = Table(title="Performance: each figure and what it was made of", show_lines=True)
    for column in ("figure", "value", "target", "made of"):
        shown.add_column(column, justify="right" if column == "value" else "left")
    for entry in entries:
        if isinstance(entry, Failure):
            shown.add_row(entry.figure, "[bold red]failed[/]", "", entry.error)
            continue
        made = ", ".join(
            f"{name} {part}" if isinstance(part, str) else f"{name} {part:,.6g}" for name, part in entry.parts.items()
        )
        value = f"{entry.value:,.4g} {entry.unit}".strip()
        style = "green" if entry.met else "red"
        shown.add_row(entry.figure, f"[{style}]{value}[/]", str(entry.target), f"{made}\n[dim]{entry.note}[/]".strip())
    return shown


def write(entries: Sequence[Entry], machine: Mapping[str, Any], seconds: float, folder: Path = RESULTS) -> Path:
    """Write ``<date>.json``; figures that the day's file holds already, and that were not measured now, stay in it."""
    path = folder / f"{datetime.now(UTC):%Y-%m-%d}.json"
    measured = [entry.as_json() for entry in entries]
    names = {entry["figure"] for entry in measured}
    kept = []
    if path.exists():
        kept = list(json.loads(path.read_text())["runs"])
        for run in kept:
            run["figures"] = [entry for entry in run["figures"] if entry["figure"] not in names]
    run = {
        "measured_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "seconds": round(seconds),
        "machine": dict(machine),
        "figures": measured,
    }
    folder.mkdir(parents=True, exist_ok=True)
    runs = [*(run for run in kept if run["figures"]), run]
    path.write_text(json.dumps({"runs": runs}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path
