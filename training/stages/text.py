"""The text tower: read the colour and the item out of a title, and ignore the rest.

Titles are generated, so their colour and item are known. Two sets of free prototypes (18 colours and "none named",
the items and "none named") pull the embedding by cross-entropy. Afterwards the tower is locked and the image tower is
trained towards its embeddings, as in LiT (arXiv 2111.07991) with the roles exchanged.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from training.captions.items import ITEMS
from training.captions.titles import caption, corpus
from training.data.labels import LABELS
from training.devices import save
from training.journal import Journal
from training.towers import tokenizer as bpe

TEMPERATURE = 12.0


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """How long the text tower is trained, in batches of 192 titles, and on how many titles its tokenizer is."""

    steps: int = 240
    corpus: int = 60_000
    seed: int = 0


def batch(size: int, rng: random.Random, shop: list[tuple[str, int, int]]) -> tuple[list[str], list[int], list[int]]:
    """Titles with the index of their colour (18: none) and item (``len(ITEMS)``: none)."""
    texts, colours, items = [], [], []
    for _ in range(size):
        if shop and rng.random() < 0.15:
            title, colour, item = rng.choice(shop)
        else:
            colour = rng.randrange(len(LABELS)) if rng.random() < 0.88 else len(LABELS)
            item = rng.randrange(len(ITEMS)) if rng.random() < 0.75 or colour == len(LABELS) else len(ITEMS)
            named = LABELS[colour] if colour < len(LABELS) else None
            title = caption(named, item if item < len(ITEMS) else -1, rng, noise=0.45)
        texts.append(title)
        colours.append(colour)
        items.append(item)
    return texts, colours, items


def train(clip: Any, folder: Path, settings: TextSettings, shop: list[tuple[str, int, int]]) -> dict[str, float]:
    """Train ``clip.text`` in place; writes ``tokenizer.json`` and ``text.pt``, and returns how the last steps did.

    Parameters:
        shop: real titles with colour and item index, both certain.
    """
    rng = random.Random(settings.seed)
    torch.manual_seed(settings.seed)
    titles = corpus(settings.corpus, settings.seed) + [title for title, _, _ in shop]
    tokenizer = bpe.train(titles, clip.vocab_size, clip.context_length)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    width = clip.text.output_dim
    colours = nn.Parameter(functional.normalize(torch.randn(len(LABELS) + 1, width), dim=-1))
    items = nn.Parameter(functional.normalize(torch.randn(len(ITEMS) + 1, width), dim=-1))
    optimiser = torch.optim.AdamW([*clip.text.parameters(), colours, items], lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, settings.steps, pct_start=0.1)
    clip_text, shares = clip.text.train(), {"colour": 0.0, "item": 0.0}
    with Journal(folder, "titles", first=0, steps=settings.steps) as journal:
        for step in range(settings.steps):
            texts, colour, item = batch(192, rng, shop)
            embedding = functional.normalize(clip_text(bpe.encode(tokenizer, texts)), dim=-1)
            by_colour = TEMPERATURE * embedding @ functional.normalize(colours, dim=-1).T
            by_item = TEMPERATURE * embedding @ functional.normalize(items, dim=-1).T
            loss = functional.cross_entropy(by_colour, torch.tensor(colour)) + 0.5 * functional.cross_entropy(
                by_item, torch.tensor(item)
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            for name, logits, truth in (("colour", by_colour, colour), ("item", by_item, item)):
                right = float((logits.argmax(1) == torch.tensor(truth)).float().mean())
                shares[name] += 0.1 * (right - shares[name])
            journal.step(step + 1, {"loss": loss, **shares}, len(texts))
    save(clip.text.state_dict(), folder / "text.pt")
    clip.text.eval()
    return {f"titles whose {name} is read": round(share, 3) for name, share in shares.items()}
