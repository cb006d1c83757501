"""``colour-train``: one command a stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


@app.callback()
def stages() -> None:
    """Train the colour-tuned CLIP, measure it, and export it for Triton."""


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Parquet of labelled photos.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")],
    repository: Annotated[Path, typer.Option(help="The model repository.", exists=True)] = Path("triton_models"),
    rivals: Annotated[bool, typer.Option(help="Measure the rivals too.")] = True,
    tests: Annotated[bool, typer.Option(help="Run the colour tests from the literature too.")] = True,
) -> None:
    """Measure the active release of a model repository, and its rivals, on labelled photos."""
    from training.evaluation.run import evaluate as run  # noqa: PLC0415 - each stage loads its own libraries

    report = run(repository, data, out, rivals=rivals, tests=tests)
    width = max(map(len, report.rows))
    for name, row in report.rows.items():
        ece = f"{row.ece:.3f}" if row.ece is not None else "-"
        typer.echo(
            f"{name:<{width}}  strict {row.strict:6.1%} [{row.low:.1%}, {row.high:.1%}]  lenient {row.lenient:6.1%}  "
            f"macro-F1 {row.macro_f1:.3f}  ECE {ece}"
        )
    for name, results in report.tests.items():
        typer.echo(f"{name}: " + ", ".join(f"{test} {value:.1%}" for test, value in list(results.items())[:6]))
    typer.echo(f"{out / 'report.html'}")


def main() -> None:
    """The console script."""
    app()
