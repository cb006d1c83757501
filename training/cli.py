"""``colour-train``: one command a stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training import config as settings
from training.evaluation.run import evaluate as measure_all
from training.stages import towers

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


@app.callback()
def stages() -> None:
    """Train the colour-tuned CLIP, measure it, and export it for Triton."""


Data = Annotated[Path, typer.Option(help="Folder with the photos.", exists=True, file_okay=False)]
Out = Annotated[Path, typer.Option(help="Folder of the model: store, weights, graphs.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML with settings.", exists=True, dir_okay=False)]


@app.command()
def prepare(data: Data, out: Out, config: ConfigFile = None) -> None:
    """Cut items out of photos on white, judge their labels, and keep them with people's own photos."""
    skipped = towers.prepare(settings.load(config), data, out)
    typer.echo(f"{len(skipped.rows)} rows could not be used; {out / 'store' / 'rows.json'} lists them")


@app.command()
def text(out: Out, config: ConfigFile = None) -> None:
    """Train the tokenizer and the text tower on generated and real titles."""
    towers.train_text(settings.load(config), out)


@app.command()
def encoder(
    out: Out,
    config: ConfigFile = None,
    imagenet: Annotated[bool, typer.Option(help="Start the image tower from ImageNet weights.")] = True,
) -> None:
    """Tune the image tower on colour and shape; called again, a run that was killed goes on."""
    towers.train_encoder(settings.load(config), out, imagenet=imagenet)


@app.command()
def label(out: Out, config: ConfigFile = None) -> None:
    """Label people's own photos by the tuned encoder, for another round of `encoder` with them."""
    sure, total = towers.label_street(settings.load(config), out)
    typer.echo(f"{sure} of {total} photos labelled")


@app.command()
def head(out: Out, config: ConfigFile = None) -> None:
    """Tune the last layers on cached embeddings, calibrate them, and choose the threshold of `uncertain`."""
    typer.echo(f"threshold {towers.train_head(settings.load(config), out):.3f}")


@app.command()
def export(
    out: Out,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path("triton_models"),
    version: Annotated[int, typer.Option(help="Version of all three models.", min=1)] = 1,
) -> None:
    """Write ONNX graphs, check them against PyTorch, and make them the repository's active release."""
    for model, distance in towers.release(out, repository, version).items():
        typer.echo(f"{model}: {distance:.1e} from PyTorch")


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Parquet of labelled photos.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")],
    repository: Annotated[Path, typer.Option(help="The model repository.", exists=True)] = Path("triton_models"),
    rivals: Annotated[bool, typer.Option(help="Measure the rivals too.")] = True,
    tests: Annotated[bool, typer.Option(help="Run the colour tests from the literature too.")] = True,
) -> None:
    """Measure the active release of a model repository, and its rivals, on labelled photos."""
    report = measure_all(repository, data, out, rivals=rivals, tests=tests)
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
