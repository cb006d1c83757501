"""``colour-train evaluate`` and ``colour-train figures``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.evaluation import throughput
from training.evaluation.figures import write as write_figures
from training.evaluation.run import evaluate as measure_all
from training.evaluation.targets import reached


def evaluate(
    *,
    data: Annotated[Path, typer.Option(help="Parquet of labelled photos.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")],
    repository: Annotated[Path, typer.Option(help="The model repository.", exists=True)] = Path("triton_models"),
    trained: Annotated[
        Path | None, typer.Option("--model", help="Folder of the stages, for rivals and base trained there.")
    ] = None,
    rivals: Annotated[bool, typer.Option(help="Measure the rivals too.")] = True,
    tests: Annotated[bool, typer.Option(help="Run the colour tests from the literature too.")] = True,
    triton: Annotated[bool, typer.Option(help="Measure images a second through a real Triton too.")] = False,
) -> None:
    """Measure the active release of a model repository, and its rivals, on labelled photos."""
    served = throughput.measure(repository) if triton else None
    report = measure_all(repository, data, out, trained=trained, rivals=rivals, tests=tests, throughput=served)
    width = max(map(len, report.rows))
    for name, line in report.rows.items():
        row = line.figures
        ece = f"{row.ece:.3f}" if row.ece is not None else "-"
        speed = f"{line.speed:.0f}" if line.speed is not None else "-"
        typer.echo(
            f"{name:<{width}}  strict {row.strict:6.1%} [{row.low:.1%}, {row.high:.1%}]  lenient {row.lenient:6.1%}  "
            f"macro-F1 {row.macro_f1:.3f}  ECE {ece}  photos/s {speed}"
        )
    for name, results in report.tests.items():
        typer.echo(f"{name}: " + ", ".join(f"{test} {value:.1%}" for test, value in list(results.items())[:6]))
    if served is not None:
        typer.echo(f"Triton: {served}")
    for target in reached(report.as_json()):
        typer.echo(f"{'met' if target.met else 'MISSED':<6}  {target.name}: {target.measured}, wanted {target.wanted}")
    typer.echo(f"{out / 'report.html'}")


def figures(
    report: Annotated[Path, typer.Option(help="A kept report.json.", exists=True)] = Path(
        "docs/results/listings-dev.json"
    ),
    page: Annotated[Path, typer.Option(help="The Markdown page to write into.", exists=True)] = Path(
        "docs/training.md"
    ),
) -> None:
    """Write the table of figures in the documentation anew, from a kept report."""
    write_figures(report, page)
    typer.echo(str(page))
