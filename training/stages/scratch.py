"""Train both towers of a CLIP by the contrastive loss: read it top to bottom to learn what a CLIP is.

A batch is n pictures and n captions, one of each picture. Two towers turn them into n vectors each, on the unit sphere.
The loss asks every picture to find its caption among all captions of the batch, and every caption its picture. Nobody
tells the image tower what a colour is: that "burgundy" belongs to some pictures and not to others is all it ever learns
from. It begins at random; the text tower, with what it has learnt of titles (``stages.text``).

Where two pictures of a batch show the same item in the same colour, each caption is right for both; by
``open_clip.ClipLoss`` one of them would be wrong. Here the target is spread over all that are right.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from training.captions.titles import caption
from training.data.labels import LABELS
from training.data.loader import Batch, Mix, Pictures, batches
from training.devices import Device, save
from training.journal import Journal
from training.stages.encoder import normalised
from training.towers.tokenizer import encode


@dataclass(frozen=True, kw_only=True)
class ScratchSettings:
    """What the stage needs to know.

    Parameters:
        fraction: of the labelled cut-outs, and how many ``epochs`` over them; the source work's numbers.
        side: of the pictures, in pixels.
        rate, text_rate: peak learning rates; the text tower knows titles already, see ``stages.text``.
        workers: processes that compose pictures, see ``Device.loaders``; a picture does not depend on it.
    """

    fraction: float = 0.2
    epochs: int = 5
    batch: int = 128
    side: int = 64
    rate: float = 2e-3
    text_rate: float = 2e-4
    weight_decay: float = 0.05
    seed: int = 0
    workers: int | None = None
    save_every: int = 50


class Pairs(nn.Module):
    """Both towers: pixels and tokens to two embeddings on the unit sphere, and the scale of their cosines."""

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.visual, self.text, self.scale = clip.visual, clip.text, clip.logit_scale

    def forward(self, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        images = functional.normalize(self.visual(normalised(pixels, self.visual)), dim=-1)
        texts = functional.normalize(self.text(tokens), dim=-1)
        return images, texts, self.scale.exp().clamp(max=100)


def contrastive(images: Tensor, texts: Tensor, meaning: Tensor, scale: Tensor) -> Tensor:
    """The loss of a batch; with n different meanings it is ``open_clip.ClipLoss``.

    Parameters:
        images, texts: float32 [n, D] each, on the unit sphere.
        meaning: int64 [n]; captions of the same number are right for each other's pictures.
        scale: of the cosines (the inverse of a temperature).
    """
    cosines = scale * images @ texts.T
    right = (meaning[:, None] == meaning[None]).float()
    target = right / right.sum(1, keepdim=True)
    by_picture = -(target * cosines.log_softmax(1)).sum(1).mean()
    by_caption = -(target * cosines.T.log_softmax(1)).sum(1).mean()
    return (by_picture + by_caption) / 2


def captions(batch: Batch, rng: random.Random) -> tuple[list[str], Tensor]:
    """A title for every picture, in either language, and the number of what it says (colour and item), int64 [n]."""
    colours = batch.target.argmax(1)
    pairs = list(zip(colours.tolist(), batch.item.tolist(), strict=True))
    return [caption(LABELS[colour], item, rng) for colour, item in pairs], colours * 1000 + batch.item


def train(
    clip: Any,
    tokenizer: Tokenizer,
    store: Path,
    folder: Path,
    settings: ScratchSettings,
    *,
    steps: int,
    mix: Mix,
    targets: NDArray[np.float32],
    device: Device,
) -> None:
    """Train ``clip`` in place and write ``clip.pt``; a run that was killed goes on from ``state.pt``.

    Parameters:
        steps: in batches.
        targets: float32 [N, 18], rows of zeros for cut-outs that are not drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = Pairs(clip.to(device.kind))
    groups: Sequence[dict[str, Any]] = (
        {"params": [*pairs.visual.parameters(), pairs.scale], "lr": settings.rate},
        {"params": list(pairs.text.parameters()), "lr": settings.text_rate},
    )
    optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    peaks = [settings.rate, settings.text_rate]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peaks, steps, pct_start=0.1)
    first = 0
    if (folder / "state.pt").is_file():
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        clip.load_state_dict(state["clip"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        first = state["step"]
    model = device.wrap(pairs)
    pictures = Pictures(
        store,
        settings.side,
        device.share(settings.batch),
        mix=mix,
        seed=(settings.seed, device.rank),
        first=first,
        targets=targets,
    )
    stream = batches(pictures, device.loaders(settings.workers))
    pairs.train()
    with Journal(folder, "scratch", first=first, steps=steps, speak=device.first) as journal:
        for step in range(first, steps):
            torch.manual_seed(settings.seed * 1_000_003 + step)
            batch = Batch(*next(stream))
            titles, meaning = captions(batch, random.Random(f"{settings.seed} {device.rank} {step}"))
            with device.autocast():
                images, texts, scale = model(batch.pixels.to(device.kind), encode(tokenizer, titles).to(device.kind))
            loss = contrastive(
                device.gather(images.float()), device.gather(texts.float()),
                device.gather(meaning.to(device.kind)), scale,
            )  # fmt: skip
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(pairs.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            journal.step(step + 1, {"loss": loss, "scale": scale}, settings.batch)
            if device.first and ((step + 1) % settings.save_every == 0 or step + 1 == steps):
                state = {"clip": clip.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1}
                save(state | {"schedule": schedule.state_dict()}, folder / "state.pt")
                save(clip.state_dict(), folder / "clip.pt")
    device.wait()
    clip.cpu().eval()
