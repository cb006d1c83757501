"""Tune the last layers on cached embeddings: fusion with the text, calibration, and the ``uncertain`` threshold."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from training.captions.items import ITEMS
from training.captions.titles import caption
from training.data.labels import LABELS
from training.data.loader import Batch, Mix, Pictures, batches
from training.stages.encoder import normalised
from training.stages.pseudo import SCALE
from training.towers.clip import prototypes
from training.towers.head import ColourHead
from training.towers.tokenizer import encode


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """What the stage needs to know.

    Parameters:
        pictures: how many composed pictures are embedded, a tenth of them kept for calibration.
        q: of the generalised cross-entropy (arXiv 1805.07836): near 0 is cross-entropy, 1 is mean absolute error.
        missing, silent, lying: shares of pictures with no text, with a text that names no colour, and with a wrong one.
        coverage_risk: the threshold is the confidence above which held-out answers are wrong no more often than this.
        tune_image: also tune the image branch, instead of holding it at the prototypes. On 2,000 composed pictures that
            cost four points on people's own photos.
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
    tune_image: bool = False
    seed: int = 0


@torch.inference_mode()
def embed(visual: torch.nn.Module, pictures: Pictures, count: int, workers: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings [count, D], targets [count, 18], items [count] of pictures whose colour is known."""
    stream, z, target, item, have = batches(pictures, workers), [], [], [], 0
    while have < count:
        batch = Batch(*next(stream))
        known = batch.target.sum(1) > 0
        z.append(functional.normalize(visual(normalised(batch.pixels[known])), dim=-1))
        target.append(batch.target[known])
        item.append(batch.item[known])
        have += int(known.sum())
    return tuple(torch.cat(part)[:count].clone() for part in (z, target, item))  # type: ignore[return-value]


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


def generalised_cross_entropy(logits: Tensor, target: Tensor, q: float) -> Tensor:
    """(1 - p^q) / q of the target's probability p, arXiv 1805.07836, for soft targets."""
    p = (logits.softmax(1) * target).sum(1).clamp_min(1e-6)
    soft = -(target * logits.log_softmax(1)).sum(1)
    return 0.5 * ((1 - p**q) / q).mean() + 0.5 * soft.mean()


def fit_temperature(logits: Tensor, target: Tensor) -> float:
    """The one temperature that minimises cross-entropy on held-out pictures (arXiv 1706.04599), within 0.05 to 20.

    Raises:
        ValueError: the logits are not finite.
    """
    if not bool(logits.isfinite().all()):
        raise ValueError("the head's logits are not finite; train it with a lower rate")
    log_t = torch.zeros((), requires_grad=True)
    # Few or perfectly separated pictures have no minimum: the line search and the bounds keep the answer a number.
    optimiser = torch.optim.LBFGS([log_t], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = -(target * (logits / log_t.clamp(-3, 3).exp()).log_softmax(1)).sum(1).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return float(log_t.detach().exp().clamp(0.05, 20))


def threshold_for(probabilities: Tensor, truth: Tensor, risk: float) -> float:
    """The lowest confidence above which the share of wrong answers is at most ``risk``."""
    confidence, answer = probabilities.max(1)
    order = confidence.argsort(descending=True)
    wrong = (answer != truth)[order].float().cumsum(0) / torch.arange(1, len(order) + 1)
    fine = torch.nonzero(wrong <= risk)
    return float(confidence[order[int(fine[-1])]]) if len(fine) else 0.99


def train(
    clip: Any,
    tokenizer: Tokenizer,
    store: Path,
    folder: Path,
    settings: HeadSettings,
    *,
    mix: Mix,
    side: int,
    pseudo: NDArray[np.float32] | None = None,
    targets: NDArray[np.float32] | None = None,
) -> tuple[ColourHead, float]:
    """Train and calibrate the head; writes ``head.pt``; returns it with the threshold."""
    torch.manual_seed(settings.seed)
    pictures = Pictures(store, side, 64, mix=mix, seed=settings.seed + 7919, pseudo=pseudo, targets=targets)
    z, target, _ = embed(clip.visual, pictures, settings.pictures)
    held = len(z) // 10
    titles = bank(clip.text, tokenizer, 160, settings.seed)
    unseen = bank(clip.text, tokenizer, 60, settings.seed + 1)
    found = prototypes(clip.text, tokenizer)
    head = ColourHead(z.shape[1], len(LABELS))
    if not settings.tune_image:
        head.start_from(found.colours, SCALE)
    tuned = [parameter for parameter in head.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(tuned, lr=settings.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, settings.steps)
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.steps):
        rows = torch.randint(held, len(z), (settings.batch,), generator=generator)
        image = functional.normalize(
            z[rows] + 0.01 * torch.randn(settings.batch, z.shape[1], generator=generator), dim=-1
        )
        text = titles_for(target[rows], titles, settings, generator)
        logits = head.logits(image, text)
        blind = head.logits(image, torch.zeros_like(text))
        loss = generalised_cross_entropy(logits, target[rows], settings.q)
        loss = loss + generalised_cross_entropy(blind, target[rows], settings.q)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    head.eval()
    with torch.no_grad():
        none = torch.zeros_like(z[:held])
        told = titles_for(target[:held], unseen, settings, generator)
        logits = torch.cat([head.logits(z[:held], none), head.logits(z[:held], told)])
    both = torch.cat([target[:held], target[:held]])
    head.temperature.fill_(fit_temperature(logits, both))
    probabilities = (logits[:held] / head.temperature).softmax(1)
    truth = target[:held].argmax(1)
    threshold = threshold_for(probabilities, truth, settings.coverage_risk)
    accuracy = (probabilities.argmax(1) == truth).float().mean()
    typer.echo(f"head: held-out {accuracy:.3f}, temperature {head.temperature:.3f}, threshold {threshold:.3f}")
    torch.save(head.state_dict(), folder / "head.pt")
    return head, threshold


def assemble(folder: Path, text_folder: Path, *, name: str, side: int, width: int, threshold: float) -> None:
    """Put the text tower beside the image tower and describe the model, as ``towers.serving.load`` reads it."""
    for file in ("text.pt", "tokenizer.json"):
        shutil.copyfile(text_folder / file, folder / file)
    meta = {
        "model": name,
        "side": side,
        "width": width,
        "threshold": round(threshold, 3),
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    (folder / "model.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
