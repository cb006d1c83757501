"""The three graphs as they are served: pixels or tokens in, normalised embeddings out, probabilities out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.data.labels import LABELS
from training.towers.clip import create
from training.towers.head import ColourHead


class ImageGraph(nn.Module):
    """uint8 pixels [B, S, S, 3] to an L2-normalised embedding [B, D]; the tower's own normalisation inside."""

    scale: Tensor
    shift: Tensor

    def __init__(self, tower: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.tower = tower
        self.register_buffer("scale", (1 / (255 * torch.tensor(std))).view(1, 3, 1, 1))
        self.register_buffer("shift", (-torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        x = pixels.permute(0, 3, 1, 2).float() * self.scale + self.shift
        return functional.normalize(self.tower(x), dim=-1)


class TextGraph(nn.Module):
    """Token ids int64 [B, L] to an L2-normalised embedding [B, D]."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, tokens: Tensor) -> Tensor:
        return functional.normalize(self.tower(tokens), dim=-1)


@dataclass(frozen=True)
class Served:
    """A whole model, ready to be exported or evaluated.

    Parameters:
        image, text, head: in eval mode. ``head(image_embedding, text_embedding)`` gives probabilities.
        tokenizer: path of ``tokenizer.json``, which pads and cuts by itself.
        labels: in the head's order.
        side: of the picture, in pixels.
        width: of the embeddings.
        threshold: below this confidence the decision is ``uncertain``.
    """

    image: ImageGraph
    text: TextGraph
    head: ColourHead
    tokenizer: Path
    labels: tuple[str, ...]
    side: int
    width: int
    threshold: float


def load(folder: Path) -> Served:
    """Read what the stages wrote: ``visual.pt``, ``text.pt``, ``tokenizer.json``, ``head.pt`` and ``model.json``."""
    meta = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    clip = create(meta["model"])
    clip.visual.load_state_dict(torch.load(folder / "visual.pt", map_location="cpu", weights_only=True))
    clip.text.load_state_dict(torch.load(folder / "text.pt", map_location="cpu", weights_only=True))
    head = ColourHead(meta["width"], len(LABELS))
    head.load_state_dict(torch.load(folder / "head.pt", map_location="cpu", weights_only=True))
    return Served(
        image=ImageGraph(clip.visual, meta["mean"], meta["std"]).eval(),
        text=TextGraph(clip.text).eval(),
        head=head.eval(),
        tokenizer=folder / "tokenizer.json",
        labels=LABELS,
        side=meta["side"],
        width=meta["width"],
        threshold=meta["threshold"],
    )
