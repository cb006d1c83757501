"""What the commands do between reading settings and calling a stage: open the store, build the towers, load weights.

A model has one folder: ``store/``, ``text/`` (text.pt, tokenizer.json) and ``model/`` (all that is exported).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from training.config import Config
from training.data import store as stores
from training.data.labels import LABELS
from training.data.sources import Skipped
from training.stages import encoder, export, head, pseudo, text
from training.towers import serving
from training.towers import tokenizer as bpe
from training.towers.clip import create, prototypes

# Titles whose colour word the label bears out teach the text tower how shops write.
_CERTAIN = 0.9


def prepare(config: Config, data: Path, out: Path) -> Skipped:
    """Cut out the items and keep them with the street photos; returns the rows that could not be used."""
    settings = config.prepare
    labelled, street = [data / name for name in settings.labelled], [data / name for name in settings.street]
    return stores.build(labelled, street, out / "store", settings.cap)


def train_text(config: Config, out: Path) -> None:
    """Train the text tower and its tokenizer."""
    text.train(create(config.model), out / "text", config.text.steps, config.text.seed, shop_titles(out / "store"))


def train_encoder(config: Config, out: Path, *, imagenet: bool) -> None:
    """Tune the image tower towards the text tower's prototypes; a killed run goes on where it was saved.

    Once there are pseudo-labels, a second round begins from the first one's weights, and the mean of both is kept.
    """
    clip, tokenizer = _with_text(config, out)
    found, labels = prototypes(clip.text, tokenizer), _pseudo(out)
    mix, how = (config.mix, config.encoder) if labels is None else (config.street_mix, config.street_encoder)
    folder, first = out / "model", out / "model" / "first.pt"
    if labels is None:
        if imagenet:
            clip.visual.trunk.load_imagenet()
        encoder.train(clip, found, out / "store", folder, how, mix=mix)
        return
    if not first.is_file():
        shutil.copyfile(folder / "visual.pt", first)
    before = torch.load(first, map_location="cpu", weights_only=True)
    clip.visual.load_state_dict(before)
    after = encoder.train(clip, found, out / "store", folder, how, mix=mix, pseudo=labels).state_dict()
    torch.save({name: _mean(before[name], after[name], config.first_share) for name in after}, folder / "visual.pt")


def label_street(config: Config, out: Path) -> tuple[int, int]:
    """Let the tuned tower label the street photos, for another round of ``encoder``; returns how many it is sure of."""
    clip, tokenizer = _with_text(config, out)
    folder = out / "model"
    clip.visual.load_state_dict(torch.load(folder / "visual.pt", map_location="cpu", weights_only=True))
    labels = pseudo.pseudo_labels(
        clip.visual, prototypes(clip.text, tokenizer), out / "store", config.encoder.side,
        keep=config.pseudo.keep, floor=config.pseudo.floor, sharpen=config.pseudo.sharpen,
    )  # fmt: skip
    np.save(folder / "pseudo.npy", labels)
    # The next round has a schedule and a beginning of its own.
    for name in ("state.pt", "first.pt"):
        (folder / name).unlink(missing_ok=True)
    return int((labels.sum(1) > 0).sum()), len(labels)


def train_head(config: Config, out: Path) -> float:
    """Tune and calibrate the head on the tuned towers; returns the threshold of ``uncertain``."""
    clip, tokenizer = _with_text(config, out)
    folder = out / "model"
    clip.visual.load_state_dict(torch.load(folder / "visual.pt", map_location="cpu", weights_only=True))
    clip.visual.eval()
    side, labels = config.served_side, _pseudo(out)
    mix = config.mix if labels is None else config.street_mix
    store = out / "store"
    trained, threshold = head.train(clip, tokenizer, store, folder, config.head, mix=mix, side=side, pseudo=labels)
    head.assemble(
        folder, out / "text", name=config.model, side=side, width=trained.text.in_features, threshold=threshold
    )
    return threshold


def release(out: Path, repository: Path, version: int) -> dict[str, float]:
    """Export the model and make it the repository's active release; returns each graph's distance from PyTorch."""
    return export.release(serving.load(out / "model"), out / "onnx", repository, version)


def shop_titles(store: Path) -> list[tuple[str, int, int]]:
    """Real titles that name their own label's colour, with the indices of colour and item."""
    loaded, found = stores.load(store), []
    for title, target, item in zip(loaded.titles, loaded.targets, loaded.items, strict=True):
        colour = int(target.argmax())
        if item >= 0 and target[colour] > _CERTAIN and LABELS[colour] in title.lower().split():
            found.append((title, colour, int(item)))
    return found


def _with_text(config: Config, out: Path) -> tuple[Any, Tokenizer]:
    clip = create(config.model)
    clip.text.load_state_dict(torch.load(out / "text" / "text.pt", map_location="cpu", weights_only=True))
    clip.text.eval()
    return clip, bpe.load(out / "text" / "tokenizer.json")


def _pseudo(out: Path) -> NDArray[np.float32] | None:
    path = out / "model" / "pseudo.npy"
    return np.load(path) if path.is_file() else None


def _mean(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Weights are averaged; counters are the second round's."""
    return share * first + (1 - share) * second if second.is_floating_point() else second
