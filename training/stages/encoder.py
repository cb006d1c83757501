"""Tune the visual encoder towards the text tower's prototypes of colours, items, and both together.

Cross-entropy over prototypes, not ClipLoss: a batch holds many equal captions, which ClipLoss would push apart.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.data.loader import Batch, Mix, Pictures, batches
from training.towers.clip import Prototypes


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """What the stage needs to know.

    Parameters:
        side: of the pictures, in pixels.
        rate: peak learning rate of the new layers; the ImageNet trunk learns at ``trunk`` times that.
        smoothing: of the colour targets.
        item_weight, joint_weight, mask_weight: of the losses beside the colour's.
        ema: decay a step of the averaged weights, which are what is kept.
    """

    steps: int = 800
    batch: int = 64
    side: int = 96
    rate: float = 2e-3
    trunk: float = 0.4
    weight_decay: float = 0.02
    smoothing: float = 0.04
    item_weight: float = 0.2
    joint_weight: float = 0.2
    mask_weight: float = 0.5
    ema: float = 0.995
    seed: int = 0
    workers: int = 1
    save_every: int = 100


def normalised(pixels: Tensor) -> Tensor:
    """uint8 [B, S, S, 3] to float32 [B, 3, S, S] in -1..1, channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def losses(
    embedding: Tensor,
    map_logits: Tensor,
    batch: Batch,
    prototypes: Prototypes,
    *,
    scale: Tensor,
    settings: EncoderSettings,
) -> dict[str, Tensor]:
    """The four losses, each a mean over the rows that have that label."""
    z = functional.normalize(embedding, dim=-1)
    known = batch.target.sum(1) > 0
    out: dict[str, Tensor] = {}
    target = batch.target[known] * (1 - settings.smoothing) + settings.smoothing / batch.target.shape[1]
    logits = scale * z[known] @ prototypes.colours.T
    out["colour"] = -(target * logits.log_softmax(1)).sum(1).mean()
    has_item = batch.item >= 0
    if has_item.any():
        out["item"] = settings.item_weight * functional.cross_entropy(
            scale * z[has_item] @ prototypes.items.T, batch.item[has_item]
        )
    both = known & has_item
    if both.any():
        index = batch.target[both].argmax(1) * len(prototypes.items) + batch.item[both]
        out["joint"] = settings.joint_weight * functional.cross_entropy(scale * z[both] @ prototypes.joint.T, index)
    if batch.composed.any():
        mask = batch.mask[batch.composed].float().div(255)
        out["mask"] = settings.mask_weight * functional.binary_cross_entropy_with_logits(
            map_logits[batch.composed, 0], mask
        )
    return out


class Average:
    """Exponential moving average of a module's weights and buffers, with a warm-up of the decay."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay, self.step = copy.deepcopy(module).eval().requires_grad_(False), decay, 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        for mine, theirs in zip(self.module.state_dict().values(), module.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)


def train(
    clip: Any,
    prototypes: Prototypes,
    store: Path,
    folder: Path,
    settings: EncoderSettings,
    *,
    mix: Mix,
    pseudo: NDArray[np.float32] | None = None,
    targets: NDArray[np.float32] | None = None,
) -> nn.Module:
    """Train ``clip.visual`` and return its averaged copy; ``visual.pt`` is written every ``save_every`` steps.

    A run that was killed goes on from ``state.pt`` when called again with the same folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    visual = clip.visual.to(memory_format=torch.channels_last)
    tower = visual.trunk
    tower.freeze_early()
    scale = nn.Parameter(torch.tensor(2.7))
    trunk = [p for p in tower.blocks.parameters() if p.requires_grad]
    seen = {id(p) for p in trunk}
    fresh = [p for p in visual.parameters() if p.requires_grad and id(p) not in seen]
    optimiser = torch.optim.AdamW(
        [{"params": trunk, "lr": settings.rate * settings.trunk}, {"params": [*fresh, scale], "lr": settings.rate}],
        weight_decay=settings.weight_decay,
    )
    peaks = [settings.rate * settings.trunk, settings.rate]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peaks, settings.steps, pct_start=0.08)
    average = Average(visual, settings.ema)
    first = 0
    if (folder / "state.pt").is_file():
        state = torch.load(folder / "state.pt", weights_only=True)
        visual.load_state_dict(state["visual"])
        average.module.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        scale.data.fill_(state["scale"])
        first = average.step = state["step"]
    (folder / "run.json").write_text(json.dumps({"settings": asdict(settings), "mix": asdict(mix)}, indent=1))
    pictures = Pictures(
        store,
        settings.side,
        settings.batch,
        mix=mix,
        seed=settings.seed + first,
        pseudo=pseudo,
        targets=targets,
    )
    stream, started = batches(pictures, settings.workers), time.monotonic()
    visual.train()
    tower.freeze_early()
    for step in range(first, settings.steps):
        batch = Batch(*next(stream))
        embedding, map_logits = tower.forward_with_map(normalised(batch.pixels))
        parts = losses(embedding, map_logits, batch, prototypes, scale=scale.exp().clamp(max=40), settings=settings)
        loss = torch.stack(list(parts.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(visual.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        average.update(visual)
        if step % 20 == 19:
            speed = (step + 1 - first) * settings.batch / (time.monotonic() - started)
            shown = " ".join(f"{name} {value.item():.3f}" for name, value in parts.items())
            typer.echo(f"encoder {step + 1}/{settings.steps} {shown} {speed:.0f} images/s")
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
            torch.save(average.module.state_dict(), folder / "visual.pt")
            torch.save(
                {
                    "visual": visual.state_dict(),
                    "average": average.module.state_dict(),
                    "step": step + 1,
                    "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(),
                    "scale": scale.item(),
                },
                folder / "state.pt",
            )
    return average.module
