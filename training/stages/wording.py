"""What a text tower that is trained beside the image tower reads: each step words colours, items and pairs anew."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from training.captions.items import ITEMS
from training.captions.titles import caption, prompts
from training.data.labels import LABELS
from training.data.loader import Batch
from training.towers.clip import Prototypes
from training.towers.tokenizer import encode

# As in the titles that the default text tower learnt from: it must not forget to read past brands and sizes.
_NOISE = 0.45


@dataclass(frozen=True)
class Wording:
    """The texts of one step: a wording of each colour, then of each item, then of each pair in the batch.

    Parameters:
        tokens: int64 [18 + I + P, context length].
        pairs: int64 [P], the numbers of the batch's distinct pairs, ascending; see ``pairs_of``.
    """

    tokens: Tensor
    pairs: Tensor

    def to(self, device: torch.device) -> Wording:
        """On another device."""
        return Wording(self.tokens.to(device, non_blocking=True), self.pairs.to(device, non_blocking=True))

    def prototypes(self, embeddings: Tensor) -> Prototypes:
        """The tower's embeddings of ``tokens``, float32 [18 + I + P, D], as prototypes that gradients flow through."""
        z, paired = functional.normalize(embeddings, dim=-1), len(LABELS) + len(ITEMS)
        return Prototypes(z[: len(LABELS)], z[len(LABELS) : paired], z[paired:], self.pairs)


def pairs_of(batch: Batch) -> tuple[Tensor, Tensor]:
    """Which rows have both a colour and an item, bool [B], and these rows' pairs, int64, as colour * I + item."""
    both = (batch.target.sum(1) > 0) & (batch.item >= 0)
    return both, batch.target[both].argmax(1) * len(ITEMS) + batch.item[both]


def draw(batch: Batch, tokenizer: Tokenizer, seed: str) -> Wording:
    """Word the batch's colours, items and pairs.

    Parameters:
        batch: on the CPU.
        seed: the only source of chance, so that a step's texts do not depend on where a run was broken off.
    """
    rng = random.Random(seed)
    pairs = sorted(set(pairs_of(batch)[1].tolist()))
    texts = [rng.choice(prompts(label)) for label in LABELS]
    texts += [rng.choice([*(noun for noun, _ in item.ru), *item.en]) for item in ITEMS]
    texts += [caption(LABELS[pair // len(ITEMS)], pair % len(ITEMS), rng, _NOISE) for pair in pairs]
    return Wording(encode(tokenizer, texts), torch.tensor(pairs, dtype=torch.int64))
