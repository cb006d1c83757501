"""Tune the last layers on cached embeddings: fusion with the text, calibration, and the ``uncertain`` threshold."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from training.captions.items import ITEMS
from training.captions.titles import caption
from training.data import splits, things
from training.data.labels import INDEX, LABELS
from training.data.loader import Mix, Pictures
from training.devices import Device, save
from training.journal import Journal
from training.runs import sha256
from training.stages import calibration, corrections, noise, offsets
from training.stages.corrections import CorrectionSettings
from training.stages.embedding import composed
from training.stages.noise import generalised_cross_entropy
from training.stages.pseudo import SCALE
from training.towers.clip import prototypes
from training.towers.head import ColourHead
from training.towers.tokenizer import encode
from worker.colours import Colour


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """What the stage needs to know.

    Parameters:
        pictures: how many composed pictures are embedded; a tenth as many, of held-out items in their own colours and
            held-out street photos, calibrate the head.
        q: of the generalised cross-entropy (arXiv 1805.07836): near 0 is cross-entropy, 1 is mean absolute error.
        missing, silent, lying: shares of pictures with no text, with a text that names no colour, and with a wrong one.
        coverage_risk: the threshold is the confidence above which held-out answers are wrong no more often than this.
        workers: processes that compose pictures, see ``Device.loaders``; a picture does not depend on it.
        logit_adjustment: added to a colour's logit, at ``pseudo.SCALE``, after the offsets (arXiv 2007.07314): how
            readily a colour is said that the photos behind the offsets hardly show.
        correction: what is learnt beyond the prototypes, see ``corrections``.
    """

    pictures: int = 6000
    steps: int = 1500
    batch: int = 256
    rate: float = 2e-3
    q: float = 0.2
    missing: float = 0.4
    silent: float = 0.12
    lying: float = 0.14
    coverage_risk: float = 0.1
    logit_adjustment: dict[Colour, float] = field(default_factory=dict)
    correction: CorrectionSettings = field(default_factory=CorrectionSettings)
    seed: int = 0
    workers: int | None = None


@dataclass(frozen=True)
class Trained:
    """A head, and how it did on held-out pictures: accuracy, temperature, threshold, and the losses compared."""

    head: ColourHead
    threshold: float
    results: dict[str, Any]


@torch.inference_mode()
def bank(text: torch.nn.Module, tokenizer: Tokenizer, each: int, seed: int) -> Tensor:
    """Title embeddings [19, each, D]: titles that name colour i, and in the last row titles that name none."""
    rng = random.Random(seed)
    rows = []
    for label in (*LABELS, None):
        titles = [caption(label, rng.randrange(len(ITEMS)), rng, noise=0.55) for _ in range(each)]
        rows.append(functional.normalize(text(encode(tokenizer, titles)), dim=-1))
    return torch.stack(rows).clone()


def titles_for(target: Tensor, titles: Tensor, settings: HeadSettings, generator: torch.Generator) -> Tensor:
    """A text embedding [B, D] for every target, missing, silent, right or lying by the settings' shares."""
    count, each = len(target), titles.shape[1]
    right = torch.multinomial(target, 1, generator=generator)[:, 0]
    lie = torch.randint(len(LABELS), (count,), generator=generator)
    chance = torch.rand(count, generator=generator)
    row = torch.where(chance < settings.lying, lie, right)
    row = torch.where((chance > settings.lying) & (chance < settings.lying + settings.silent), len(LABELS), row)
    chosen = titles[row, torch.randint(each, (count,), generator=generator)]
    return chosen * (chance < 1 - settings.missing)[:, None]


def train(
    clip: Any,
    tokenizer: Tokenizer,
    store: Path,
    folder: Path,
    settings: HeadSettings,
    *,
    mix: Mix,
    side: int,
    targets: NDArray[np.float32],
    pseudo: NDArray[np.float32] | None = None,
    given: NDArray[np.float32] | None = None,
    real: tuple[Tensor, Tensor] | None = None,
    device: Device,
    compare: bool = False,
) -> Trained:
    """Train the head, calibrate it on pictures of held-out items and sellers, and write ``head.pt``.

    Parameters:
        targets: float32 [N, 18], labels of the cut-outs.
        pseudo: float32 [M, 18], labels of the street photos, or None.
        given: float32 [M, 18], those of them that were given, by eye or by sellers. Only they calibrate: an encoder
            cannot be its own judge.
        real: embeddings [n, D] of held-out street photos with such labels, and those labels [n, 18]; they decide
            the offsets of a held image branch, see ``offsets``.
        device: where ``clip.visual`` is.
        compare: also compare what may be done about wrong labels, see ``noise``.
    """
    z, target = _pictures(
        clip.visual, store, folder, settings, mix=mix, side=side, targets=targets, pseudo=pseudo, held=False,
        device=device,
    )  # fmt: skip
    z_held, target_held = _pictures(
        clip.visual, store, folder, settings, mix=mix, side=side, targets=targets, pseudo=given, held=True,
        device=device,
    )  # fmt: skip
    titles = bank(clip.text, tokenizer, 160, settings.seed)
    unseen = bank(clip.text, tokenizer, 60, settings.seed + 1)
    found = prototypes(clip.text, tokenizer, joint=False)
    # Not sooner: embedding draws from the same generator, but not where a killed run has left the embeddings.
    torch.manual_seed(settings.seed)
    head = ColourHead(z.shape[1], len(LABELS))
    head.start_from(found.colours, SCALE)
    if real is not None:
        head.shortcut.bias.data.copy_(offsets.fit(head.shortcut(real[0]).detach(), real[1]))
    for colour, more in settings.logit_adjustment.items():
        head.shortcut.bias.data[INDEX[colour]] += more
    corrected = corrections.learn(
        head, clip.visual, store, folder, settings.correction, side=side, targets=targets, given=given,
        seed=settings.seed, workers=device.loaders(settings.workers),
    )  # fmt: skip
    tuned = [parameter for parameter in head.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(tuned, lr=settings.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, settings.steps)
    generator = torch.Generator().manual_seed(settings.seed)
    with Journal(folder, "head", first=0, steps=settings.steps) as journal:
        for step in range(settings.steps):
            rows = torch.randint(len(z), (settings.batch,), generator=generator)
            image = functional.normalize(
                z[rows] + 0.01 * torch.randn(settings.batch, z.shape[1], generator=generator), dim=-1
            )
            text = titles_for(target[rows], titles, settings, generator)
            told = generalised_cross_entropy(head.logits(image, text), target[rows], settings.q)
            blind = generalised_cross_entropy(head.logits(image, torch.zeros_like(text)), target[rows], settings.q)
            optimiser.zero_grad(set_to_none=True)
            (told + blind).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            journal.step(step + 1, {"with text": told, "without": blind}, settings.batch)
    head.eval()
    with torch.no_grad():
        none = torch.zeros_like(z_held)
        told = titles_for(target_held, unseen, settings, generator)
        logits = torch.cat([head.logits(z_held, none), head.logits(z_held, told)])
    agreed = calibration.agreed(target_held)
    truth = target_held.argmax(1)[agreed]
    said_first = functional.one_hot(truth, len(LABELS)).float()
    head.temperature.fill_(calibration.fit_temperature(logits[agreed.repeat(2)], said_first.repeat(2, 1)))
    probabilities = (logits[: len(z_held)][agreed] / head.temperature).softmax(1)
    threshold = calibration.threshold_for(probabilities, truth, settings.coverage_risk)
    results: dict[str, Any] = {
        "held-out pictures": len(truth),
        "held-out accuracy, image only": round(float((probabilities.argmax(1) == truth).float().mean()), 4),
        "temperature": round(float(head.temperature), 4),
        "threshold": round(threshold, 3),
        "offsets": {label: round(float(each), 2) for label, each in zip(LABELS, head.shortcut.bias, strict=True)},
        **corrected,
    }
    if compare:
        results["losses compared"] = noise.compare(
            z, target, (z_held, target_held), q=settings.q, seed=settings.seed, steps=settings.steps
        )  # fmt: skip
    save(head.state_dict(), folder / "head.pt")
    return Trained(head, threshold, results)


def _pictures(
    visual: torch.nn.Module,
    store: Path,
    folder: Path,
    settings: HeadSettings,
    *,
    mix: Mix,
    side: int,
    targets: NDArray[np.float32],
    pseudo: NDArray[np.float32] | None,
    held: bool,
    device: Device,
) -> tuple[Tensor, Tensor]:
    """Embeddings and targets of pictures made of the items and sellers that are held out, or of all others.

    Those held out are as people photograph things: nothing is painted, printed or drawn, and half are whole photos.
    Where the store is so small that nothing is held out, calibration has to do with fresh pictures of the same items.
    """
    split = splits.of_store(store)
    mine = split.cutouts if held and split.cutouts.any() else ~split.cutouts
    targets = targets * mine[:, None]
    if pseudo is not None:
        pseudo = pseudo * (split.street if held else ~split.street)[:, None]
        pseudo = pseudo if pseudo.any() else None
    mix = mix if pseudo is not None else replace(mix, street=0.0)
    if held:
        mix = replace(mix, painted=0.0, patterned=0.0, printed=0.0, made=0.0, street=0.5 if mix.street else 0.0)
    count = max(1, settings.pictures // 10) if held else settings.pictures
    seed = settings.seed + (104_729 if held else 7919)
    pictures = Pictures(store, side, 64, mix=mix, seed=seed, pseudo=pseudo, targets=targets)
    said = hashlib.sha256(targets.tobytes() + (pseudo.tobytes() if pseudo is not None else b"")).hexdigest()
    key = " ".join([sha256(folder / "visual.pt"), sha256(things.FOLDER), said, str(mix), str(side), str(seed)])
    cache = folder / f"embeddings-{'held' if held else 'train'}.pt"
    return composed(visual, pictures, count, cache=cache, key=key, workers=device.loaders(settings.workers))


def assemble(
    folder: Path,
    text_folder: Path,
    *,
    name: str,
    side: int,
    width: int,
    threshold: float,
    mean: tuple[float, ...] = (0.5,) * 3,
    std: tuple[float, ...] = (0.5,) * 3,
) -> None:
    """Put the tokenizer beside both towers and describe the model, as ``towers.serving.load`` reads it."""
    shutil.copyfile(text_folder / "tokenizer.json", folder / "tokenizer.json")
    meta = {
        "model": name,
        "side": side,
        "width": width,
        "threshold": round(threshold, 3),
        "mean": mean,
        "std": std,
    }
    (folder / "model.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
