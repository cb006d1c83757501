"""``colour-train``: one command a stage.

Every stage records itself in ``run.json`` and does nothing where it is done already, so the whole chain can be called
again after a kill, a changed setting, or new data, and only what must be redone is redone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from training import config as settings
from training import runs
from training.data import things
from training.devices import Device, alone, device
from training.evaluation.cli import evaluate, figures
from training.stages import labelling, listed, towers
from training.stages.cli import card, export, rivals

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


@app.callback()
def stages() -> None:
    """Train the colour-tuned CLIP, measure it, and export it for Triton."""


Data = Annotated[Path, typer.Option(help="Folder with the photos.", exists=True, file_okay=False)]
Out = Annotated[Path, typer.Option(help="Folder of the model: store, weights, graphs, run.json.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML with settings.", exists=True, dir_okay=False)]
Again = Annotated[bool, typer.Option("--again", help="Redo the stage even if it is done.")]
Fraction = Annotated[
    float | None,
    typer.Option(help="Share of the labelled cut-outs; the source work took 0.2.", min=0.0001, max=1),
]
Epochs = Annotated[int | None, typer.Option(help="Passes over them; the source work made 5.", min=1)]


@app.command()
def prepare(data: Data, out: Out, config: ConfigFile = None, again: Again = False) -> None:
    """Cut items out of photos on white, judge their labels, keep them with people's own photos, and split both."""
    alone("prepare")
    chosen = settings.load(config)
    labelled, street = towers.sources(chosen, data)
    inputs = {str(path.relative_to(data)): path for path in (*labelled, *street)}
    store = out / "store" / "rows.json"
    with _stage(out, "prepare", chosen.prepare, inputs=inputs, outputs=[store], again=again) as (run, _):
        if not run.done:
            skipped, beyond = towers.prepare(chosen, data, out)
            run.results = {
                "rows that could not be used": len(skipped.rows),
                "listed in": "store/rows.json",
                f"cut-outs beyond {chosen.prepare.cap} a colour": sum(beyond.values()),
            }
            typer.echo(f"{len(skipped.rows)} rows could not be used; {store} lists them")
            if beyond:
                each = ", ".join(f"{colour} {count}" for colour, count in beyond.items())
                typer.echo(f"left out beyond prepare.cap, {chosen.prepare.cap} a colour: {each}")


@app.command()
def scratch(
    *,
    out: Out,
    config: ConfigFile = None,
    titles_only: Annotated[bool, typer.Option("--titles-only", help="Train the default text tower only.")] = False,
    fraction: Fraction = None,
    epochs: Epochs = None,
    again: Again = False,
) -> None:
    """Train the text tower on titles, then both towers from nothing by the contrastive loss: the base before tuning."""
    chosen = settings.load(config)
    base = {"model": chosen.model, "pretrained": chosen.pretrained}
    files = [out / "text" / name for name in ("text.pt", "tokenizer.json")]
    with _stage(
        out, "titles", {**base, **asdict(chosen.text)}, after=["prepare"], outputs=files, again=again
    ) as (run, where):  # fmt: skip
        if not run.done and where.first:
            run.results = towers.train_text(chosen, out)
        where.wait()
    if titles_only:
        return
    how = chosen.scratch
    how = replace(how, fraction=how.fraction if fraction is None else fraction, epochs=epochs or how.epochs)
    chosen = replace(chosen, scratch=how)
    given = {**base, **asdict(how), "mix": asdict(chosen.mix)}
    with _stage(
        out, "scratch", given, inputs=_composed(chosen), after=["prepare", "titles"],
        outputs=[out / "scratch" / "clip.pt"], state=[out / "scratch" / "state.pt"], again=again,
    ) as (run, where):  # fmt: skip
        if not run.done:
            run.results = {"steps": towers.train_scratch(chosen, out, where)}


@app.command()
def encoder(
    *,
    out: Out,
    config: ConfigFile = None,
    imagenet: Annotated[bool, typer.Option(help="Start the default image tower from ImageNet weights.")] = True,
    street: Annotated[
        bool | None, typer.Option(help="The second round, with people's own photos; by default once they are labelled.")
    ] = None,
    fraction: Fraction = None,
    epochs: Epochs = None,
    again: Again = False,
) -> None:
    """Tune the image tower on colour and shape; called again, a run that was killed goes on."""
    chosen = settings.load(config)
    street = (out / "street" / "pseudo.npy").is_file() if street is None else street
    name, how = ("street", chosen.street_encoder) if street else ("encoder", chosen.encoder)
    fraction, epochs = _both(fraction, epochs)
    given = {
        "model": chosen.model, "pretrained": chosen.pretrained, "imagenet": imagenet, "fraction": fraction,
        "epochs": epochs, "settings": asdict(how), "mix": asdict(chosen.street_mix if street else chosen.mix),
    }  # fmt: skip
    before = ["prepare", "titles", *(["encoder", "label"] if street else [])]
    with _stage(
        out, name, given, inputs={} if street else _composed(chosen), after=before,
        outputs=[out / name / "visual.pt"], state=[out / name / "state.pt"], again=again,
    ) as (run, where):  # fmt: skip
        if not run.done:
            used = towers.train_encoder(
                chosen, out, imagenet=imagenet, street=street, fraction=fraction, epochs=epochs, device=where
            )
            run.results = {"steps": used.steps, "pictures": used.steps * used.batch, "processes": where.world}


@app.command()
def label(out: Out, config: ConfigFile = None, again: Again = False) -> None:
    """Label photos for the second round of `encoder`: by eye where somebody looked, else by the first round."""
    alone("label")
    chosen = settings.load(config)
    given = {"settings": asdict(chosen.pseudo), "side": chosen.encoder.side}
    outputs = [out / "street" / "pseudo.npy", out / "street" / "targets.npy", out / "street" / "own.npz"]
    with _stage(
        out, "label", given, inputs=listed.inputs(chosen), after=["prepare", "encoder"], outputs=outputs, again=again
    ) as (run, where):  # fmt: skip
        if not run.done:
            run.results = labelling.label(chosen, out, where)
            typer.echo("\n".join(f"{what}: {figure}" for what, figure in run.results.items()))


@app.command()
def head(
    *,
    out: Out,
    config: ConfigFile = None,
    fraction: Fraction = None,
    epochs: Epochs = None,
    compare: Annotated[bool, typer.Option("--compare", help="Compare what may be done about wrong labels.")] = False,
    again: Again = False,
) -> None:
    """Tune the last layers on cached embeddings, calibrate them, and choose the threshold of `uncertain`."""
    alone("head")
    chosen = settings.load(config)
    fraction, epochs = _both(fraction, epochs)
    given = {
        "settings": asdict(chosen.head), "first_share": chosen.first_share, "served_side": chosen.served_side,
        "compare": compare, "fraction": fraction, "epochs": epochs,
        "mixes": [asdict(chosen.mix), asdict(chosen.street_mix)],
    }  # fmt: skip
    files = [out / "model" / name for name in ("head.pt", "model.json")]
    before = ["prepare", "titles", "encoder", "label", "street"]
    with _stage(out, "head", given, inputs=_composed(chosen), after=before, outputs=files, again=again) as (run, where):
        if not run.done:
            trained = towers.train_head(chosen, out, where, fraction=fraction, epochs=epochs, compare=compare)
            run.results = trained.results
            for name, result in trained.results.items():
                typer.echo(f"{name}: {result}")


def _composed(chosen: settings.Config) -> dict[str, Path]:
    """What pictures are composed of, beside the store."""
    return listed.inputs(chosen) | {"things": things.FOLDER}


def _both(fraction: float | None, epochs: int | None) -> tuple[float | None, int | None]:
    """Where one of them is given, the other is the source work's."""
    if fraction is None and epochs is None:
        return None, None
    return 0.2 if fraction is None else fraction, epochs or 5


@contextmanager
def _stage(
    out: Path,
    name: str,
    config: object,
    *,
    inputs: dict[str, Path] | None = None,
    after: list[str] | None = None,
    outputs: list[Path] | None = None,
    state: list[Path] | None = None,
    again: bool = False,
) -> Iterator[tuple[runs.Run, Device]]:
    """A stage on the best device here; ``state`` is what a killed run of it left, removed where it no longer fits."""
    with (
        device() as where,
        runs.stage(
            out, name, config=config, inputs=inputs, after=after or (), outputs=outputs or (), again=again, device=where
        ) as run,
    ):
        if run.done and where.first:
            typer.echo(f"{name}: done already, see {out / 'run.json'}")
        if not (run.done or run.resumed) and where.first:
            for path in state or ():
                path.unlink(missing_ok=True)
        where.wait()
        yield run, where


app.command()(rivals)
app.command()(export)
app.command()(evaluate)
app.command()(card)
app.command()(figures)


def main(arguments: list[str] | None = None) -> Any:
    """The console script."""
    return app(arguments)


if __name__ == "__main__":
    main()
