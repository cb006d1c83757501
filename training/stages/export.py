"""ONNX graphs with parity to PyTorch, golden inputs, and the model repository."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

from training.captions.titles import plain_queries
from training.data.labels import LABELS
from training.serving import repository
from training.towers import tokenizer as bpe
from training.towers.serving import Served

Shrink = Callable[[Path, Path], None]

PARITY = 1e-4
"""Largest absolute difference allowed between PyTorch and onnxruntime."""


class ParityError(RuntimeError):
    """An exported graph does not answer as its PyTorch module does."""


def to_onnx(module: nn.Module, inputs: dict[str, Tensor], output: str, path: Path) -> float:
    """Export with a dynamic batch and compare.

    Returns:
        the largest absolute difference on ``inputs`` and on their first row alone.

    Raises:
        ParityError: it exceeds ``PARITY``.
    """
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        dynamo=True,
        input_names=list(inputs),
        output_names=[output],
        dynamic_shapes=tuple({0: batch} for _ in inputs),
        optimize=True,
        verbose=False,
    )
    if program is None:
        raise ParityError(f"{path.name}: torch.onnx.export returned nothing")
    for node in program.model.graph:
        for value in node.outputs:
            if value.name == output and value not in program.model.graph.outputs:
                # The exporter names an embedding table's look-up "embedding", as we name what a tower gives.
                value.name = f"{output}_inner"
    # Stack traces of the machine that exported it: of no use to a server, and different on every machine.
    ClearMetadataAndDocStringPass()(program.model)
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in (len(next(iter(inputs.values()))), 1):
        part = {name: value[:count] for name, value in inputs.items()}
        with torch.inference_mode():
            expected = module(*part.values()).numpy()
        answer = session.run([output], {name: value.numpy() for name, value in part.items()})[0]
        worst = max(worst, float(np.abs(answer - expected).max()))
    if worst > PARITY:
        raise ParityError(f"{path.name}: differs from PyTorch by {worst:.2e}, more than {PARITY:.0e}")
    return worst


def golden_pictures(side: int, count: int = 6) -> NDArray[np.uint8]:
    """Made pictures, uint8 [count, side, side, 3]: a coloured disc on a graded ground; no photo of anybody's."""
    rng = np.random.default_rng(20260101)
    ys, xs = np.mgrid[0:side, 0:side] / side
    pictures = []
    for _ in range(count):
        ground = rng.integers(90, 255, 3) * (0.7 + 0.3 * xs[:, :, None])
        disc = ((xs - 0.5) ** 2 + (ys - 0.5) ** 2 < rng.uniform(0.06, 0.15))[:, :, None]
        pictures.append(np.where(disc, rng.integers(0, 255, 3) * (0.8 + 0.2 * ys[:, :, None]), ground))
    return np.stack(pictures).astype(np.uint8)


def golden_titles() -> list[str]:
    """Made titles in both languages, one of them empty of colour."""
    return [
        *plain_queries("burgundy", 7),
        *plain_queries("lightblue", 3),
        "Продам срочно, размер 42\nторг",
        "Nike running shoes",
    ]


def export(model: Served, folder: Path, shrink: Shrink | None = None) -> dict[str, float]:
    """Write ``<model>/1/{model.onnx,golden.npz}`` and the tokenizer below ``folder``.

    Parameters:
        model: the towers and the head.
        folder: of the graphs.
        shrink: may put another graph in the place of the image encoder's, when encoder and head are there.

    Returns:
        the parity of each graph.
    """
    pictures = golden_pictures(model.side)
    titles = golden_titles()
    tokens = bpe.encode(bpe.load(model.tokenizer), titles)
    parity = {}
    with torch.inference_mode():
        image = model.image(torch.from_numpy(pictures)).clone()
        text = model.text(tokens).clone()
        text_or_none = text.clone()
        text_or_none[::2] = 0
        probabilities = model.head(image, text_or_none)
    paths = {name: folder / name / "1" for name in ("colour_image", "colour_text", "colour_head")}
    parity["colour_image"] = to_onnx(
        model.image, {"pixels": torch.from_numpy(pictures)}, "embedding", paths["colour_image"] / "model.onnx"
    )
    parity["colour_text"] = to_onnx(model.text, {"tokens": tokens}, "embedding", paths["colour_text"] / "model.onnx")
    parity["colour_head"] = to_onnx(
        model.head,
        {"image_embedding": image, "text_embedding": text_or_none},
        "probabilities",
        paths["colour_head"] / "model.onnx",
    )
    if shrink is not None:
        shrink(paths["colour_image"] / "model.onnx", paths["colour_head"] / "model.onnx")
        # What is promised is what will be served, in float or in int8.
        session = onnxruntime.InferenceSession(str(paths["colour_image"] / "model.onnx"))
        image = torch.from_numpy(session.run(["embedding"], {"pixels": pictures})[0])
        with torch.inference_mode():
            probabilities = model.head(image, text_or_none)
    shutil.copyfile(model.tokenizer, paths["colour_text"] / "tokenizer.json")
    np.savez_compressed(paths["colour_image"] / "golden.npz", pixels=pictures, embedding=image.numpy())
    np.savez_compressed(
        paths["colour_text"] / "golden.npz",
        text=np.array([[title.encode()] for title in titles], dtype=np.bytes_),
        embedding=text.numpy(),
    )
    np.savez_compressed(
        paths["colour_head"] / "golden.npz",
        image_embedding=image.numpy(),
        text_embedding=text_or_none.numpy(),
        probabilities=probabilities.numpy(),
        labels=np.array(LABELS),
    )
    return parity


def release(
    model: Served,
    work: Path,
    target: Path,
    version: int = 1,
    *,
    wrapping: repository.Wrapping = repository.WHEEL,
    shrink: Shrink | None = None,
) -> dict[str, float]:
    """Export, and put the three graphs as ``version`` into the model repository at ``target``.

    It becomes the active release where there is none yet, or where it is written over versions of the active one. Else
    it only lies beside it: ``colour-worker models`` verifies it, makes it what workers use, and knows the way back.

    Parameters:
        wrapping: which of Triton's backends runs the graphs.
        shrink: see ``export``.

    Returns:
        the parity of each graph.
    """
    parity = export(model, work, shrink)

    def files(name: str) -> dict[str, Path]:
        return {
            file.name: file
            for file in sorted((work / name / "1").iterdir())
            if file.suffix in (".onnx", ".npz", ".json")
        }

    width = str(model.width)
    image = repository.add_version(
        target,
        repository.IMAGE,
        version,
        files(repository.IMAGE),
        {"side": str(model.side), "width": width},
        wrapping=wrapping,
    )
    text = repository.add_version(
        target, repository.TEXT, version, files(repository.TEXT), {"width": width}, wrapping=wrapping
    )
    repository.add_version(
        target,
        repository.HEAD,
        version,
        files(repository.HEAD),
        {
            "image_fingerprint": image,
            "text_fingerprint": text,
            "labels": ",".join(model.labels),
            "threshold": f"{model.threshold:.3f}",
        },
        wrapping=wrapping,
    )
    active = repository.active(target)
    if active is None or version in active.values():
        repository.activate(target, image=version, text=version, head=version)
    return parity
