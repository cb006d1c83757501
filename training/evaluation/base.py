"""The base before tuning: a CLIP that has seen pictures and captions, asked zero-shot by prompts in one language."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from training.captions.words import WORDS, inflect
from training.data.cutouts import Pixels
from training.evaluation.measures import COLOURS, Floats
from training.stages.encoder import normalised
from training.towers import tokenizer as bpe
from training.towers.clip import create

Language = Literal["ru", "en"]
_RU = ("{} вещь", "фото: {} вещь", "{} цвет")
_EN = ("a {} item", "a photo of a {} item", "{} colour")


def texts(colour: str, language: Language) -> list[str]:
    """The prompts of a colour: every word for it, in three sentences."""
    if language == "en":
        return [prompt.format(word) for word in WORDS[colour].en for prompt in _EN]
    thing = [(inflect(word, "f"), inflect(word, "m")) for word in WORDS[colour].ru]
    return [prompt.format(him if "цвет" in prompt else her) for her, him in thing for prompt in _RU]


class Base:
    """The towers after ``scratch``, or a pretrained CLIP as it came.

    Parameters:
        out: folder of the model.
        model: as the configuration names it.
    """

    def __init__(self, out: Path, model: str) -> None:
        self._clip = create(model)
        weights = torch.load(out / "scratch" / "clip.pt", map_location="cpu", weights_only=True)
        self._clip.load_state_dict(weights)
        self._clip.eval()
        self._tokenizer = bpe.load(out / "text" / "tokenizer.json")

    @torch.inference_mode()
    def classify(self, photos: Pixels, language: Language) -> Floats:
        """Softmax of the scaled cosines to the colours' mean prompts, float32 [n, 18] in the order of ``Colour``."""
        rows = []
        for at in range(0, len(photos), 64):
            pixels = normalised(torch.from_numpy(photos[at : at + 64]), self._clip.visual)
            rows.append(functional.normalize(self._clip.visual(pixels), dim=-1))
        named = torch.stack([self._mean(texts(str(colour), language)) for colour in COLOURS])
        scale = self._clip.logit_scale.exp().clamp(max=100)
        return np.asarray((scale * torch.cat(rows) @ named.T).softmax(1).numpy(), np.float32)

    def _mean(self, prompts: list[str]) -> torch.Tensor:
        found = functional.normalize(self._clip.text(bpe.encode(self._tokenizer, prompts)), dim=-1)
        return functional.normalize(found.mean(0), dim=-1)
