"""Run by torchrun: the gradients of the contrastive loss over two processes are those of one with all rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.devices import device
from training.stages.scratch import contrastive


class Towers(nn.Module):
    """Two linear towers and a scale."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.image, self.text = nn.Linear(5, 4), nn.Linear(5, 4)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = (functional.normalize(tower(x), dim=-1) for tower, x in ((self.image, images), (self.text, texts)))
        return *z, self.scale.exp()  # type: ignore[return-value]


def main() -> None:
    """Compare, and fail with the difference."""
    images, texts = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    meaning = torch.tensor([0, 1, 2, 0, 3, 4, 4, 5])
    alone = Towers()
    z_images, z_texts, scale = alone(images, texts)
    contrastive(z_images, z_texts, meaning, scale).backward()  # type: ignore[no-untyped-call]
    with device() as where:
        towers = Towers()
        model, mine = where.wrap(towers), slice(4 * where.rank, 4 * where.rank + 4)
        z_images, z_texts, scale = model(images[mine], texts[mine])
        z_images, z_texts, meaning = (where.gather(part) for part in (z_images, z_texts, meaning[mine]))
        contrastive(z_images, z_texts, meaning, scale).backward()  # type: ignore[no-untyped-call]
        for here, there in zip(towers.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(here.grad, there.grad, rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    main()
