"""Tune the visual encoder towards the text tower's prototypes of colours, items, and both together.

Cross-entropy over prototypes, not ClipLoss: a batch holds many equal captions, which ClipLoss would push apart. The
text tower is locked (LiT, arXiv 2111.07991) unless it is given a learning rate; then its prototypes move with it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from training.data.loader import Batch, Mix, Pictures, batches
from training.data.own import Own
from training.devices import Device, save
from training.journal import Journal
from training.stages import wording
from training.towers.clip import Prototypes, prototypes, statistics


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """What the stage needs to know.

    Parameters:
        batch: pictures a step, of all processes together.
        side: of the pictures, in pixels.
        rate: peak learning rate of the new layers; the ImageNet trunk learns at ``trunk`` times that.
        text_rate: peak learning rate of the text tower, see ``stages/wording.py``; 0 leaves it locked.
        smoothing: of the colour targets.
        item_weight, joint_weight, mask_weight: of the losses beside the colour's.
        ema: decay a step of the averaged weights, which are what is kept.
        workers: processes that compose pictures, see ``Device.loaders``; a picture does not depend on it.
        unlocked_groups: train only the last so many of the tower's layer groups (open_clip's words), 0 none of them;
            None is what the tower itself proposes.
    """

    steps: int = 800
    batch: int = 64
    side: int = 96
    rate: float = 2e-3
    trunk: float = 0.4
    text_rate: float = 0.0
    weight_decay: float = 0.02
    smoothing: float = 0.04
    item_weight: float = 0.2
    joint_weight: float = 0.2
    mask_weight: float = 0.5
    ema: float = 0.995
    unlocked_groups: int | None = None
    seed: int = 0
    workers: int | None = None
    save_every: int = 100


def normalised(pixels: Tensor, visual: nn.Module | None = None) -> Tensor:
    """uint8 [B, S, S, 3] to float32 [B, 3, S, S] as the tower wants it (-1..1 by default), channels last in memory."""
    mean, std = statistics(visual)
    shape = (1, 3, 1, 1)
    scale = (1 / (255 * torch.tensor(std, device=pixels.device))).view(shape)
    shift = (torch.tensor(mean, device=pixels.device) / torch.tensor(std, device=pixels.device)).view(shape)
    return pixels.permute(0, 3, 1, 2).float().mul_(scale).sub_(shift)


class Seen(nn.Module):
    """What is trained, called once a step so that one wrapper covers both towers.

    Parameters:
        text: the text tower where it is trained too, None where it is locked.
    """

    def __init__(self, visual: nn.Module, text: nn.Module | None = None) -> None:
        super().__init__()
        self.visual, self.text = visual, text
        self.scale = nn.Parameter(torch.tensor(2.7))

    def forward(
        self, pixels: Tensor, tokens: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor]:
        """Embedding, foreground map (None for towers that have none), texts' embeddings, scale of the cosines."""
        x, scale = normalised(pixels, self.visual), self.scale.exp().clamp(max=40)
        texts = None if self.text is None else self.text(tokens)
        tower: Any = getattr(self.visual, "trunk", self.visual)
        if hasattr(tower, "forward_with_map"):
            embedding, map_logits = tower.forward_with_map(x)
            return embedding, map_logits, texts, scale
        return self.visual(x), None, texts, scale


def losses(
    embedding: Tensor,
    map_logits: Tensor | None,
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
    both, index = wording.pairs_of(batch)
    if both.any():
        if prototypes.pairs is not None:
            index = torch.searchsorted(prototypes.pairs, index)
        out["joint"] = settings.joint_weight * functional.cross_entropy(scale * z[both] @ prototypes.joint.T, index)
    if map_logits is not None and batch.composed.any():
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


def freeze(visual: Any, unlocked_groups: int | None) -> None:
    """Freeze the tower's first layers: all but the last ``unlocked_groups``, or what the tower itself proposes."""
    if unlocked_groups is not None:
        visual.lock(unlocked_groups=unlocked_groups, freeze_bn_stats=False)
    elif hasattr(getattr(visual, "trunk", None), "freeze_early"):
        visual.trunk.freeze_early()


def grown(visual: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters that are trained: the pretrained trunk's, and the fresh ones. Other towers than ours are all trunk."""
    tower: Any = getattr(visual, "trunk", visual)
    blocks: Any = tower.blocks if hasattr(tower, "forward_with_map") else visual
    trunk = [parameter for parameter in blocks.parameters() if parameter.requires_grad]
    known = {id(parameter) for parameter in trunk}
    return trunk, [p for p in visual.parameters() if p.requires_grad and id(p) not in known]


def train(
    clip: Any,
    tokenizer: Tokenizer,
    store: Path,
    folder: Path,
    settings: EncoderSettings,
    *,
    mix: Mix,
    pseudo: NDArray[np.float32] | None = None,
    targets: NDArray[np.float32] | None = None,
    own: Own | None = None,
    hidden: NDArray[np.bool_] | None = None,
    device: Device | None = None,
    name: str = "encoder",
) -> dict[str, nn.Module]:
    """Train ``clip.visual``, and ``clip.text`` where it has a rate; return their averaged copies by these names.

    ``visual.pt`` and, where it is trained, ``text.pt`` are written every ``save_every`` steps. A run that was
    killed goes on from ``state.pt`` when called again with the same folder, and ends with the weights that it would
    have had.
    """
    device = device or Device(torch.device("cpu"))
    folder.mkdir(parents=True, exist_ok=True)
    visual = clip.visual.to(device.kind, memory_format=torch.channels_last)
    freeze(visual, settings.unlocked_groups)
    tuned: dict[str, nn.Module] = {"visual": visual}
    trunk, fresh = grown(visual)
    locked = prototypes(clip.text, tokenizer, joint=settings.text_rate == 0).to(device.kind)
    if settings.text_rate > 0:
        tuned["text"] = clip.text.to(device.kind)
    elif device.first:
        (folder / "text.pt").unlink(missing_ok=True)
    seen = Seen(**tuned).to(device.kind)
    peaks = [settings.rate * settings.trunk, settings.rate]
    groups = [{"params": trunk, "lr": peaks[0]}, {"params": [*fresh, seen.scale], "lr": peaks[1]}]
    if seen.text is not None:
        peaks.append(settings.text_rate)
        groups.append({"params": [*seen.text.parameters()], "lr": settings.text_rate})
    optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peaks, settings.steps, pct_start=0.08)
    averages = {tower: Average(module, settings.ema) for tower, module in tuned.items()}
    first = 0
    if (folder / "state.pt").is_file():
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        first = state["step"]
        for tower, average in averages.items():
            tuned[tower].load_state_dict(state["towers"][tower])
            average.module.load_state_dict(state["averages"][tower])
            average.step = first
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        seen.scale.data.fill_(state["scale"])
    model = device.wrap(seen)
    pictures = Pictures(
        store, settings.side, device.share(settings.batch), mix=mix, seed=(settings.seed, device.rank), first=first,
        pseudo=pseudo, targets=targets, own=own, hidden=hidden,
    )  # fmt: skip
    stream = batches(pictures, device.loaders(settings.workers))
    seen.train()
    freeze(visual, settings.unlocked_groups)
    with Journal(folder, name, first=first, steps=settings.steps, speak=device.first) as journal:
        for step in range(first, settings.steps):
            # Dropout's chance too is the step's own, so that it does not matter where a run was broken off.
            torch.manual_seed(settings.seed * 1_000_003 + step)
            drawn = Batch(*next(stream))
            words = None
            if seen.text is not None:
                words = wording.draw(drawn, tokenizer, f"{settings.seed} {device.rank} {step}").to(device.kind)
            batch = Batch(*(part.to(device.kind, non_blocking=True) for part in drawn))
            with device.autocast():
                embedding, map_logits, texts, scale = model(batch.pixels, words.tokens if words else None)
            parts = losses(
                embedding.float(), None if map_logits is None else map_logits.float(), batch,
                words.prototypes(texts.float()) if words else locked, scale=scale, settings=settings,
            )  # fmt: skip
            optimiser.zero_grad(set_to_none=True)
            torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
            for module in tuned.values():
                nn.utils.clip_grad_norm_(module.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            for tower, average in averages.items():
                average.update(tuned[tower])
            journal.step(step + 1, {**parts, "rate": schedule.get_last_lr()[1]}, settings.batch)
            if device.first and ((step + 1) % settings.save_every == 0 or step + 1 == settings.steps):
                for tower, average in averages.items():
                    save(average.module.state_dict(), folder / f"{tower}.pt")
                state = {
                    "towers": {tower: module.state_dict() for tower, module in tuned.items()},
                    "averages": {tower: average.module.state_dict() for tower, average in averages.items()},
                    "step": step + 1,
                    "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(),
                    "scale": seen.scale.item(),
                }
                save(state, folder / "state.pt")
    device.wait()
    return {tower: average.module.cpu() for tower, average in averages.items()}
