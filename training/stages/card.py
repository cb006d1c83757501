"""``MODEL_CARD.md`` beside a release: what it is, what made it, how good it is; from run.json and report.json."""

from __future__ import annotations

import json
from pathlib import Path

import jinja2

from training import runs
from training.evaluation.release import load
from training.serving.repository import HEAD

_TEMPLATE = Path(__file__).with_name("card.md.jinja")


def write(out: Path, repository: Path, report: Path) -> Path:
    """Describe the active release of a repository; returns the card's path, in the folder of the head's version.

    Parameters:
        out: folder of the stages, with ``run.json``.
        repository: the model repository.
        report: ``report.json`` of the same release.

    Raises:
        ValueError: the report is of another release.
    """
    release = load(repository).release
    said = json.loads(report.read_text(encoding="utf-8"))
    names = " ".join(f"{part}={name}" for part, name in release.names.model_dump().items())
    if said["facts"]["release"] != names:
        raise ValueError(
            f"{report} measured {said['facts']['release']}, {repository} serves {names}; evaluate it first"
        )
    entries = runs.read(out)
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701  Markdown, not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        release=release, names=names, report=said, stages=entries, seconds=sum(e["seconds"] for e in entries.values())
    )
    card = repository / HEAD / release.head.version / "MODEL_CARD.md"
    card.write_text(page, encoding="utf-8")
    return card
