"""``colour-train rivals`` and ``colour-train export``: what does not belong to the chain of towers."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from training import config as settings
from training import runs
from training.devices import device
from training.rivals import classifier
from training.rivals.pictures import KINDS
from training.stages import towers

Out = Annotated[Path, typer.Option(help="Folder of the model: store, weights, graphs, run.json.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML with settings.", exists=True, dir_okay=False)]


def rivals(
    out: Out,
    config: ConfigFile = None,
    steps: Annotated[int | None, typer.Option(help="Steps of each.", min=1)] = None,
    again: Annotated[bool, typer.Option("--again", help="Train them anew even if they are there.")] = False,
) -> None:
    """Train the rivals: a plain CNN on whole photos, and one on cut-outs; called again, killed ones go on."""
    how = settings.load(config).rivals
    how = replace(how, steps=steps or how.steps)
    folder = out / "rivals"
    for kind in KINDS:
        given = {"kind": kind, **asdict(how)}
        with (
            device() as where,
            runs.stage(
                out, f"rival-{kind}", config=given, after=["prepare"], outputs=[folder / f"{kind}.pt"], again=again
            ) as run,
        ):
            if run.done:
                typer.echo(f"rival-{kind}: done already, see {out / 'run.json'}")
                continue
            if not run.resumed:
                (folder / f"{kind}-state.pt").unlink(missing_ok=True)
            targets = towers.drawn(out / "store", 1.0, how.seed)
            classifier.train(kind, out / "store", folder, how, targets=targets, device=where)
            run.results = {"steps": how.steps, "pictures": how.steps * how.batch}


def export(
    out: Out,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path("triton_models"),
    version: Annotated[int, typer.Option(help="Version of all three models.", min=1)] = 1,
) -> None:
    """Write ONNX graphs, check them against PyTorch, and make them the repository's active release."""
    for model, distance in towers.release(out, repository, version).items():
        typer.echo(f"{model}: {distance:.1e} from PyTorch")
