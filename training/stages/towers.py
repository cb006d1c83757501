"""What the commands do between reading settings and calling a stage: open the store, build the towers, load weights.

A model has one folder:

    store/      cut-outs and street photos, and which of them are held out
    text/       the text tower and its tokenizer, which all that follows is trained towards; ``text_rate`` tunes it on
    scratch/    both towers after contrastive training: the base before tuning
    encoder/    the image tower's first round, on composed pictures and street photos that were labelled by eye
    street/     labels of the street photos, better ones of the shops', and the second round, with both
    model/      what is exported: image tower, text tower, head, model.json
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from training.config import Config
from training.data import own as owns
from training.data import splits
from training.data import store as stores
from training.data.cutouts import Pixels
from training.data.labels import LABELS
from training.data.loader import Batch, Pictures, batches
from training.data.sources import Skipped
from training.devices import Device, save
from training.serving.repository import Wrapping
from training.stages import encoder, export, head, listed, offsets, scratch, shares, text
from training.stages.quantise import Quantised, quantise
from training.towers import serving
from training.towers import tokenizer as bpe
from training.towers.bases import tokenizer_of
from training.towers.clip import create, has_weights, statistics

# Titles whose colour word the label bears out teach the text tower how shops write.
_CERTAIN = 0.9
# Composed pictures that int8's ranges are taken from, and those that it is measured on.
_CALIBRATION, _MEASURED = 256, 1024
CPU = Device(torch.device("cpu"))


def prepare(config: Config, data: Path, out: Path) -> tuple[Skipped, dict[str, int]]:
    """Cut out the items, keep them with the street photos, and split both; returns what ``stores.build`` does.

    Raises:
        ValueError: no labelled photo, or no street photo, can be used.
    """
    labelled, street = sources(config, data)
    left_out = stores.build(labelled, street, out / "store", config.prepare.cap)
    if not len(stores.load(out / "store").street):
        raise ValueError("no street photo could be read; without them there are no backgrounds, see prepare.street")
    (out / "store" / "held.npz").unlink(missing_ok=True)
    splits.of_store(out / "store")
    return left_out


def sources(config: Config, data: Path) -> tuple[list[Path], list[Path]]:
    """Files or folders of labelled photos, and of people's own."""
    return [data / name for name in config.prepare.labelled], [data / name for name in config.prepare.street]


def train_text(config: Config, out: Path) -> dict[str, float]:
    """Train the text tower and its tokenizer on titles; a pretrained base brings its own. Returns how it did."""
    clip, folder = _created(config, config.text.seed), out / "text"
    if not _is_base(config):
        return text.train(clip, folder, config.text, shop_titles(out / "store"))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer_of(config.model).save(str(folder / "tokenizer.json"))
    save(clip.text.state_dict(), folder / "text.pt")
    return {}


def train_scratch(config: Config, out: Path, device: Device = CPU) -> int:
    """Train both towers contrastively, beginning with the text tower's titles; returns the number of steps.

    A pretrained base is kept as it is: it is the base before tuning.
    """
    how, folder = config.scratch, out / "scratch"
    clip, tokenizer = with_text(config, out, how.seed)
    folder.mkdir(parents=True, exist_ok=True)
    side = config.served_side if _is_base(config) else how.side
    (folder / "base.json").write_text(json.dumps({"model": config.model, "side": side}), encoding="utf-8")
    if _is_base(config):
        save(clip.state_dict(), folder / "clip.pt")
        return 0
    targets = shares.drawn(listed.cutouts(config, out / "store"), out / "store", how.fraction, how.seed)
    steps = shares.steps_for(targets, how.epochs, how.batch)
    mix = replace(config.mix, street=0.0)
    scratch.train(
        clip, tokenizer, out / "store", folder, how, steps=steps, mix=mix, targets=targets, device=device
    )  # fmt: skip
    return steps


def train_encoder(
    config: Config,
    out: Path,
    *,
    imagenet: bool,
    street: bool | None = None,
    fraction: float | None = None,
    epochs: int | None = None,
    device: Device = CPU,
) -> encoder.EncoderSettings:
    """Tune the image tower towards the text tower's prototypes; a killed run goes on where it was saved.

    The first round has the labels given by eye, of street photos those alone (and no street photos where there are
    none). The second (``street``; None: once there are pseudo-labels) begins from its weights.

    Returns:
        the settings that were used, with the steps that ``fraction`` and ``epochs`` come to.
    """
    street = (out / "street" / "pseudo.npy").is_file() if street is None else street
    mix, how = (config.street_mix, config.street_encoder) if street else (config.mix, config.encoder)
    known = np.load(out / "street" / "targets.npy") if street else listed.cutouts(config, out / "store")
    targets = shares.drawn(known, out / "store", fraction or 1.0, how.seed)
    if epochs is not None:
        steps = shares.steps_for(targets, epochs, how.batch)
        how = replace(how, steps=steps)
    begun = first_text(out) if street else out / "text" / "text.pt"
    clip, tokenizer = with_text(config, out, how.seed, begun)
    _fits(clip.visual, how.side)
    if street:
        clip.visual.load_state_dict(torch.load(out / "encoder" / "visual.pt", map_location="cpu", weights_only=True))
    elif imagenet and hasattr(getattr(clip.visual, "trunk", None), "load_imagenet"):
        clip.visual.trunk.load_imagenet()
    labels = np.load(out / "street" / "pseudo.npy") if street else listed.street(config, out / "store")[0]
    own, held = None, splits.of_store(out / "store").street
    labels *= ~held[:, None]
    if street:
        own = owns.load(out / "street").without(held)
        if not labels.any():
            raise ValueError("no street photo was labelled surely enough to learn from; lower pseudo.floor")
    elif not labels.any():
        mix = replace(mix, street=0.0)
    name = "street" if street else "encoder"
    if not street and device.first:
        # A second round that began from other weights is no part of this model.
        for tower in ("visual", "text"):
            (out / "street" / f"{tower}.pt").unlink(missing_ok=True)
    encoder.train(
        clip, tokenizer, out / "store", out / name, how, mix=mix, pseudo=labels, targets=targets, own=own,
        hidden=held, device=device, name=name,
    )  # fmt: skip
    return how


def join_rounds(config: Config, out: Path) -> None:
    """Write the towers that are kept into ``out/model``: the first round's, or the mean of both rounds'."""
    (out / "model").mkdir(exist_ok=True)
    for tower, first in (("visual", out / "encoder" / "visual.pt"), ("text", first_text(out))):
        kept = torch.load(first, map_location="cpu", weights_only=True)
        second = out / "street" / f"{tower}.pt"
        if second.is_file():
            after = torch.load(second, map_location="cpu", weights_only=True)
            kept = {key: _mean(kept[key], after[key], config.first_share) for key in kept}
        save(kept, out / "model" / f"{tower}.pt")


def train_head(
    config: Config,
    out: Path,
    device: Device = CPU,
    *,
    fraction: float | None = None,
    epochs: int | None = None,
    compare: bool = False,
) -> head.Trained:
    """Tune and calibrate the head on the tuned towers, after both rounds' weights are joined.

    Parameters:
        fraction, epochs: a share of the labelled cut-outs, and passes over it, instead of the settings' ``pictures``.
        compare: also compare what may be done about wrong labels.
    """
    folder, store = out / "model", out / "store"
    join_rounds(config, out)
    clip, tokenizer = with_text(config, out, weights=folder / "text.pt")
    clip.visual.load_state_dict(torch.load(folder / "visual.pt", map_location="cpu", weights_only=True))
    clip.visual.eval().to(device.kind)
    _fits(clip.visual, config.served_side)
    labels = np.load(out / "street" / "pseudo.npy") if (out / "street" / "pseudo.npy").is_file() else None
    mix = config.mix if labels is None else config.street_mix
    targets = listed.cutouts(config, store) if labels is None else np.load(out / "street" / "targets.npy")
    how = config.head
    if fraction is not None and epochs is not None:
        targets, pictures = shares.drawn_and_held(targets, store, fraction, epochs, how.seed)
        how = replace(how, pictures=pictures)
    given = listed.street(config, store)[0]
    trained = head.train(
        clip, tokenizer, store, folder, how, mix=mix, side=config.served_side, targets=targets, pseudo=labels,
        given=given, real=offsets.seen(clip.visual, store, given, config.served_side), device=device,
        compare=compare,
    )  # fmt: skip
    mean, std = statistics(clip.visual)
    head.assemble(
        folder, out / "text", name=config.model, side=config.served_side, width=trained.head.text.in_features,
        threshold=trained.threshold, mean=mean, std=std,
    )  # fmt: skip
    return trained


def release(
    config: Config, out: Path, repository: Path, version: int, *, wrapping: Wrapping, quantize: bool = False
) -> tuple[dict[str, float], Quantised | None]:
    """Export the model into the repository, see ``export.release``.

    Returns:
        each graph's distance from PyTorch, and what int8 costs and brings if that was asked for.
    """
    small: list[Quantised] = []

    def shrink(image: Path, classifier: Path) -> None:
        learnt, _ = _composed(config, out, _CALIBRATION, held=False)
        pictures, truth = _composed(config, out, _MEASURED, held=True)
        small.append(quantise(image, classifier, calibration=learnt, pictures=pictures, truth=truth))

    model = serving.load(out / "model")
    parity = export.release(
        model, out / "onnx", repository, version, wrapping=wrapping, shrink=shrink if quantize else None
    )
    return parity, small[0] if small else None


def _composed(config: Config, out: Path, count: int, *, held: bool) -> tuple[Pixels, NDArray[np.int64]]:
    """Composed pictures of held-out or of other items, uint8 [count, side, side, 3], and their labels' numbers."""
    split = splits.of_store(out / "store").cutouts
    mine = split if held and split.any() else ~split
    targets = listed.cutouts(config, out / "store") * mine[:, None]
    mix = replace(config.mix, street=0.0)
    stream = batches(Pictures(out / "store", config.served_side, count, mix=mix, seed=int(held), targets=targets), 0)
    batch = Batch(*next(stream))
    return batch.pixels.numpy(), batch.target.argmax(1).numpy()


def shop_titles(store: Path) -> list[tuple[str, int, int]]:
    """Real titles that name their own label's colour, with the indices of colour and item."""
    loaded, found = stores.load(store), []
    for title, target, item in zip(loaded.titles, loaded.targets, loaded.items, strict=True):
        colour = int(target.argmax())
        if item >= 0 and target[colour] > _CERTAIN and LABELS[colour] in title.lower().split():
            found.append((title, colour, int(item)))
    return found


def _is_base(config: Config) -> bool:
    return config.pretrained is not None or has_weights(config.model)


def _created(config: Config, seed: int) -> Any:
    # What no weights are loaded into begins at random.
    torch.manual_seed(seed)
    return create(config.model, config.pretrained)


def with_text(config: Config, out: Path, seed: int = 0, weights: Path | None = None) -> tuple[Any, Tokenizer]:
    """A model with its text tower's weights and tokenizer; the image tower is as it was created.

    Parameters:
        weights: of the text tower; None for those before any tuning.
    """
    clip = _created(config, seed)
    weights = weights or out / "text" / "text.pt"
    clip.text.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    clip.text.eval()
    return clip, bpe.load(out / "text" / "tokenizer.json")


def first_text(out: Path) -> Path:
    """The text tower's weights after the first round: tuned by it, or else as they were before."""
    tuned = out / "encoder" / "text.pt"
    return tuned if tuned.is_file() else out / "text" / "text.pt"


def _fits(visual: Any, side: int) -> None:
    """Our tower takes any side; another takes what it was built for."""
    wanted = getattr(visual, "image_size", side)
    wanted = wanted[0] if isinstance(wanted, tuple) else wanted
    if not hasattr(getattr(visual, "trunk", None), "forward_with_map") and wanted != side:
        raise ValueError(f"this tower takes {wanted} px; set encoder.side, street_encoder.side and served_side to it")


def _mean(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Weights are averaged; counters are the second round's."""
    return share * first + (1 - share) * second if second.is_floating_point() else second
