"""Image encoders with random weights: they cost what trained ones cost, and need no download.

Also read by the python backend inside Triton, from its own copy: it imports torch and what the encoder comes from only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Spec:
    """An encoder: where it comes from, and the side of its input in pixels."""

    source: str
    name: str
    side: int


SPECS = {
    "lite2": Spec("timm", "tf_efficientnet_lite2", 128),
    "vit-b-32": Spec("open_clip", "ViT-B-32", 224),
    "vit-b-16": Spec("open_clip", "ViT-B-16", 224),
}
"""``lite2`` is the family and the side of the encoder in ``triton_models/``."""

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class Encoder(nn.Module):
    """Pixels uint8 [n, side, side, 3] on the device -> float32 [n, width], L2-normalised.

    Parameters:
        tower: takes [n, 3, side, side] in ``dtype``.
    """

    def __init__(self, tower: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.tower = tower
        self.dtype = dtype
        self.mean: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("mean", torch.tensor([0.481, 0.458, 0.408]).view(1, 3, 1, 1) * 255)
        self.register_buffer("scale", 1 / (torch.tensor([0.269, 0.261, 0.276]).view(1, 3, 1, 1) * 255))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        # On the device, from a quarter of the bytes that floats would need on their way.
        images = (pixels.permute(0, 3, 1, 2).float() - self.mean) * self.scale
        features: torch.Tensor = self.tower(images.to(self.dtype)).float()
        return nn.functional.normalize(features, dim=-1)


def build(name: str, device: str, precision: str) -> Encoder:
    """The encoder, ready for inference on ``device`` (``"cuda"`` or ``"cpu"``)."""
    spec, dtype = SPECS[name], PRECISIONS[precision]
    tower = _TOWERS[spec.source](spec.name)
    return Encoder(tower.to(dtype), dtype).to(device).eval().requires_grad_(requires_grad=False)


def _from_timm(name: str) -> nn.Module:
    import timm  # noqa: PLC0415 - one of the two is needed

    tower: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
    return tower


def _from_open_clip(name: str) -> nn.Module:
    import open_clip  # noqa: PLC0415 - one of the two is needed

    model: Any = open_clip.create_model(name, pretrained=None)
    tower: nn.Module = model.visual
    return tower


_TOWERS: dict[str, Callable[[str], nn.Module]] = {"timm": _from_timm, "open_clip": _from_open_clip}
