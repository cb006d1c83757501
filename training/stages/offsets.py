"""One number a colour, added to its logit: what a tower says too often of people's own photos, it says less often.

Bias-corrected temperature scaling (arXiv 1901.06852). Training draws rare colours more often than they occur, and
paints them; so a tower calls a dark grey black and a dull one light blue more readily than people do. Photos that were
labelled by eye tell by how much. A colour that people rarely photograph is asked for as often as
any other, so photos count by how rare their colour is among them: one over the square root of its number.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data import splits
from training.data import store as stores
from training.stages.embedding import embedded, street_photos

PRIOR = 12.0
"""The offsets' mean square counts as the cross-entropy of so many photos: a colour that few show keeps its logit."""


def seen(visual: torch.nn.Module, folder: Path, labels: NDArray[np.float32], side: int) -> tuple[Tensor, Tensor] | None:
    """The held-out street photos with labels of their own, whole; None where there are none.

    Parameters:
        folder: of the store.
        labels: of all street photos, float32 [M, 18], see ``listed.street``.
        side: of the pictures.

    Returns:
        normalised embeddings, float32 [n, D], and labels, float32 [n, 18].
    """
    rows = np.nonzero(labels.any(1) & splits.of_store(folder).street)[0]
    if not len(rows):
        return None
    return embedded(visual, street_photos(stores.load(folder), rows, side)), torch.from_numpy(labels[rows])


def fit(logits: Tensor, target: Tensor) -> Tensor:
    """The offsets, float32 [labels], with mean 0.

    Parameters:
        logits: float32 [n, labels], before any temperature.
        target: distributions over the labels, float32 [n, labels].
    """
    rarity = target @ target.sum(0).clamp(min=1).rsqrt()
    weight = (rarity / rarity.sum())[:, None]
    offset = torch.zeros(logits.shape[1], requires_grad=True)
    sharpness = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.LBFGS([offset, sharpness], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        scaled = logits * sharpness.clamp(-3, 3).exp() + offset
        loss = -(weight * target * scaled.log_softmax(1)).sum() + PRIOR / len(logits) * offset.square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    found = offset.detach() / sharpness.detach().clamp(-3, 3).exp()
    return found - found.mean()
