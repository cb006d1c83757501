"""Build a CLIP from a JSON file by open_clip, and its colour prototypes from texts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

import training.towers.image  # noqa: F401  registers the tower with timm
from training.captions.items import ITEMS
from training.captions.titles import caption, plain_queries, prompts
from training.data.labels import LABELS
from training.towers.tokenizer import encode

CONFIGS = Path(__file__).parent / "configs"


@dataclass(frozen=True)
class Prototypes:
    """L2-normalised text embeddings: colours [18, D], items [I, D], both together [18 * I, D] (colour-major).

    Parameters:
        pairs: int64 [P], ascending: which of the 18 * I pairs the P rows of ``joint`` are; None for all of them.
    """

    colours: Tensor
    items: Tensor
    joint: Tensor
    pairs: Tensor | None = None

    def to(self, device: torch.device) -> Prototypes:
        """On another device."""
        pairs = None if self.pairs is None else self.pairs.to(device)
        return Prototypes(self.colours.to(device), self.items.to(device), self.joint.to(device), pairs)


def statistics(visual: torch.nn.Module | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation that a tower's pixels (0..1) are normalised by; 0.5 for ours and for None."""
    if visual is None or hasattr(getattr(visual, "trunk", None), "forward_with_map"):
        return (0.5,) * 3, (0.5,) * 3
    wanted: Any = visual.preprocess_cfg
    return tuple(wanted["mean"]), tuple(wanted["std"])


def create(name: str, pretrained: str | None = None) -> Any:
    """An open_clip model with both towers apart.

    Parameters:
        name: one of ``towers/configs``, any that open_clip knows, a local ``.json``, ``local-dir:/folder`` or
            ``hf-hub:owner/name``.
        pretrained: a tag or a local file.

    Raises:
        RuntimeError: weights were asked for and could not be loaded.
    """
    name = registered(name)
    wanted = pretrained is not None or has_weights(name)
    return open_clip.create_model(name, pretrained=pretrained, require_pretrained=wanted, force_custom_text=True)


def registered(name: str) -> str:
    """A model's name as open_clip knows it, once our configurations, or the file of that name, are read."""
    open_clip.add_model_config(CONFIGS)
    if not name.endswith(".json"):
        return name
    open_clip.add_model_config(Path(name))
    return Path(name).stem


def has_weights(name: str) -> bool:
    """Whether a model's name says by itself where its weights are."""
    return name.startswith(("local-dir:", "hf-hub:"))


@torch.no_grad()
def prototypes(text: torch.nn.Module, tokenizer: Tokenizer, seed: int = 0, *, joint: bool = True) -> Prototypes:
    """Mean embeddings of every way to write a colour, an item, and, with ``joint``, the two together (slow)."""
    rng = random.Random(seed)

    def mean(texts: list[str]) -> Tensor:
        return functional.normalize(functional.normalize(text(encode(tokenizer, texts)), dim=-1).mean(0), dim=-1)

    pairs = [(label, i) for label in LABELS for i in range(len(ITEMS))]
    return Prototypes(
        colours=torch.stack([mean(prompts(label)) for label in LABELS]),
        items=torch.stack([mean([noun for noun, _ in item.ru] + list(item.en)) for item in ITEMS]),
        joint=torch.stack(
            [mean([*plain_queries(*pair), *(caption(*pair, rng, 0) for _ in range(4))]) for pair in pairs]
        )
        if joint
        else torch.zeros(0),
    )
