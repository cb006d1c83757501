"""``colour-train rivals``, ``export`` and ``card``: what does not belong to the chain of towers."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from training import config as settings
from training import runs
from training.devices import alone, device
from training.rivals import classifier
from training.rivals.pictures import KINDS
from training.serving.repository import HEAD, Flavour, Wrapping, active
from training.stages import card as cards
from training.stages import listed, shares, towers

Out = Annotated[Path, typer.Option(help="Folder of the model: store, weights, graphs, run.json.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML with settings.", exists=True, dir_okay=False)]
Again = Annotated[bool, typer.Option("--again", help="Redo it even if it is done.")]
Repository = Annotated[Path, typer.Option(help="The model repository.")]


def rivals(
    out: Out,
    config: ConfigFile = None,
    steps: Annotated[int | None, typer.Option(help="Steps of each.", min=1)] = None,
    again: Again = False,
) -> None:
    """Train the rivals: a plain CNN on whole photos, and one on cut-outs; called again, killed ones go on."""
    alone("rivals")
    chosen = settings.load(config)
    how = chosen.rivals
    how = replace(how, steps=steps or how.steps)
    folder = out / "rivals"
    for kind in KINDS:
        given = {"kind": kind, **asdict(how)}
        with (
            device() as where,
            runs.stage(
                out,
                f"rival-{kind}",
                config=given,
                inputs=listed.inputs(chosen),
                after=["prepare"],
                outputs=[folder / f"{kind}.pt"],
                again=again,
            ) as run,
        ):
            if run.done:
                typer.echo(f"rival-{kind}: done already, see {out / 'run.json'}")
                continue
            if not run.resumed:
                (folder / f"{kind}-state.pt").unlink(missing_ok=True)
            known = listed.cutouts(chosen, out / "store")
            targets = shares.drawn(known, out / "store", 1.0, how.seed)
            classifier.train(kind, out / "store", folder, how, targets=targets, device=where)
            run.results = {"steps": how.steps, "pictures": how.steps * how.batch}


def export(
    *,
    out: Out,
    config: ConfigFile = None,
    repository: Repository = Path("triton_models"),
    version: Annotated[int, typer.Option(help="Version of all three models.", min=1)] = 1,
    flavour: Annotated[Flavour, typer.Option(help="Triton from PyPI's wheel, or NVIDIA's container.")] = "wheel",
    tensorrt: Annotated[bool, typer.Option(help="In the container: the encoder on GPUs, by TensorRT in FP16.")] = False,
    quantize: Annotated[bool, typer.Option(help="Int8 encoder, if it costs < 0.5 points and is faster.")] = False,
    again: Again = False,
) -> None:
    """Write ONNX graphs, check them against PyTorch, and put them into a model repository.

    In a new repository they are the active release; else they lie beside it until ``colour-worker models`` is asked.

    Raises:
        typer.BadParameter: TensorRT is asked for without the container.
    """
    alone("export")
    if tensorrt and flavour != "container":
        raise typer.BadParameter("--tensorrt needs --flavour container: the wheel has no onnxruntime backend")
    given = {"repository": str(repository.resolve()), "version": version, "quantize": quantize}
    given |= {"flavour": flavour, "tensorrt": tensorrt}
    before = ["prepare", "titles", "encoder", "label", "street", "head"]
    files = [repository / HEAD / str(version) / "model.onnx"]
    with runs.stage(out, "export", config=given, after=before, outputs=files, again=again) as run:
        if run.done:
            typer.echo(f"export: done already, see {out / 'run.json'}")
            return
        parity, small = towers.release(
            settings.load(config), out, repository, version, wrapping=Wrapping(flavour, tensorrt), quantize=quantize
        )
        run.results = {f"{model}, distance from PyTorch": distance for model, distance in parity.items()}
        for model, distance in parity.items():
            typer.echo(f"{model}: {distance:.1e} from PyTorch")
        if small is not None:
            run.results["int8"] = asdict(small)
            typer.echo(str(small))
        if active(repository) != dict.fromkeys(("image", "text", "head"), version):
            wanted = f"--image {version} --text {version} --head {version}"
            typer.echo(f"beside the active release; go on with: colour-worker models load {wanted}")


def card(
    out: Out,
    repository: Repository = Path("triton_models"),
    report: Annotated[
        Path | None, typer.Option(help="Report of the same release; <out>/report/report.json by default.", exists=True)
    ] = None,
) -> None:
    """Write MODEL_CARD.md beside the active release, from run.json and report.json."""
    typer.echo(str(cards.write(out, repository, report or out / "report" / "report.json")))
