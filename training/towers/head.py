"""The head: image and text embeddings to calibrated probabilities of the 18 colours."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class ColourHead(nn.Module):
    """The image decides; the text adds its own logits, through a gate that sees whether the two contradict each other.

    A text embedding of zeros (no text) closes the gate exactly, so the answer is then the image's alone: cosines to the
    prototypes, and what a correction adds to them.

    Parameters:
        width: of both embeddings.
        labels: number of colours.
    """

    temperature: Tensor

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.shortcut = nn.Linear(width, labels)
        self.correction = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.3), nn.Linear(width, labels))
        self.text = nn.Linear(width, labels)
        self.gate = nn.Sequential(nn.Linear(2 * labels + 2, 48), nn.ReLU(), nn.Linear(48, 1))
        self.register_buffer("temperature", torch.ones(()))

    @torch.no_grad()
    def start_from(self, prototypes: Tensor, scale: float) -> None:
        """Let the image branch answer as the encoder's own prototypes do, and hold it there; nothing is corrected yet.

        Parameters:
            prototypes: L2-normalised text embeddings of the labels, float32 [labels, width].
            scale: of the cosines.
        """
        self.shortcut.weight.copy_(scale * prototypes)
        last = cast("nn.Linear", self.correction[-1])
        for tensor in (self.shortcut.bias, last.weight, last.bias):
            tensor.zero_()
        self.shortcut.requires_grad_(False)
        self.correction.requires_grad_(False).eval()

    def seen(self, image: Tensor) -> Tensor:
        """The image branch's uncalibrated logits [B, labels] of embeddings [B, width]."""
        # A normalised embedding's numbers are near 1 / sqrt(width); a network learns best from numbers near 1.
        corrected: Tensor = self.shortcut(image) + self.correction(image * image.shape[1] ** 0.5)
        return corrected

    def logits(self, image: Tensor, text: Tensor) -> Tensor:
        """Uncalibrated logits [B, labels] of embeddings [B, width] each."""
        seen = self.seen(image)
        told = self.text(text)
        p_seen, p_told = seen.softmax(1), told.softmax(1)
        agreement = (p_seen * p_told).sum(1, keepdim=True)
        sureness = p_seen.amax(1, keepdim=True)
        gate = torch.sigmoid(self.gate(torch.cat([p_seen, p_told, agreement, sureness], dim=1)))
        present = (text.square().sum(1, keepdim=True) > 0.25).to(seen.dtype)
        fused: Tensor = seen + present * gate * told
        return fused

    def forward(self, image_embedding: Tensor, text_embedding: Tensor) -> Tensor:
        """Calibrated probabilities [B, labels]."""
        calibrated: Tensor = (self.logits(image_embedding, text_embedding) / self.temperature).softmax(1)
        return calibrated
