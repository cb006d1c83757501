"""What may be done about wrong labels, compared on held-out pictures: ``colour-train head --compare``.

Each way trains the same small classifier on the same cached embeddings; only the loss, or the pictures, differ:

- cross-entropy, as it is;
- label smoothing (arXiv 1512.00567);
- generalised cross-entropy (arXiv 1805.07836), which gives up on pictures that stay improbable, here mixed with
  cross-entropy, which learns faster;
- pruning by cleanlab (arXiv 1911.00068): pictures whose label contradicts out-of-fold probabilities are left out,
  unless label and answer are neighbours that people mix up too: that is ambiguity, not error.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn
from torch.nn import functional

from training.data.labels import INDEX

NEIGHBOURS = (
    ("blue", "lightblue"), ("lightblue", "turquoise"), ("turquoise", "green"), ("grey", "silver"), ("white", "silver"),
    ("white", "beige"), ("beige", "brown"), ("gold", "yellow"), ("gold", "beige"), ("red", "burgundy"),
    ("burgundy", "brown"), ("red", "orange"), ("red", "pink"), ("pink", "purple"), ("orange", "yellow"),
    ("black", "grey"),
)  # fmt: skip
"""Colours that two honest people may give to one item."""

FOLDS = 4
SMOOTHING = 0.1
_Loss = Callable[[Tensor, Tensor], Tensor]


def generalised_cross_entropy(logits: Tensor, target: Tensor, q: float) -> Tensor:
    """Half (1 - p^q) / q of the target's probability p, arXiv 1805.07836, half cross-entropy, for soft targets."""
    p = (logits.softmax(1) * target).sum(1).clamp_min(1e-6)
    return 0.5 * ((1 - p**q) / q).mean() + 0.5 * cross_entropy(logits, target)


def cross_entropy(logits: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Of soft targets [B, 18], of which ``smoothing`` is first spread over all colours."""
    spread = target * (1 - smoothing) + smoothing / target.shape[1]
    return -(spread * logits.log_softmax(1)).sum(1).mean()


def suspects(z: NDArray[np.float32], target: NDArray[np.float32], seed: int) -> NDArray[np.bool_]:
    """Pictures whose label is probably wrong, bool [N]: cleanlab's choice by out-of-fold answers, less neighbours.

    Colours with fewer pictures than folds are never suspected.
    """
    label = target.argmax(1)
    enough = np.nonzero(np.bincount(label, minlength=target.shape[1]) >= FOLDS)[0]
    rows = np.nonzero(np.isin(label, enough))[0]
    wrong = np.zeros(len(label), np.bool_)
    if len(enough) < 2:
        return wrong
    dense = np.searchsorted(enough, label[rows])
    probability = np.zeros((len(rows), len(enough)), np.float32)
    for learnt, asked in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(rows, dense):
        model = LogisticRegression(C=10.0, max_iter=300).fit(z[rows[learnt]], dense[learnt])
        probability[asked] = model.predict_proba(z[rows[asked]])
    issues = find_label_issues(dense, probability, filter_by="prune_by_noise_rate", n_jobs=1)
    answer = enough[probability.argmax(1)]
    friends = {frozenset((INDEX[one], INDEX[other])) for one, other in NEIGHBOURS}
    ambiguous = np.array([frozenset(pair) in friends for pair in zip(label[rows], answer, strict=True)])
    wrong[rows] = issues & ~ambiguous
    return wrong


def compare(
    z: Tensor, target: Tensor, held: tuple[Tensor, Tensor], *, q: float, seed: int, steps: int
) -> dict[str, dict[str, float]]:
    """Accuracy and cross-entropy on held-out pictures, by what was done about wrong labels.

    Parameters:
        z, target: of the pictures to train on, float32 [N, D] and [N, 18].
        held: likewise, of pictures made of items that are in none of them.
        q: of the generalised cross-entropy.
        seed: of every classifier's beginning and batches.
        steps: of 256 pictures.
    """
    wrong = torch.from_numpy(suspects(z.numpy(), target.numpy(), seed))
    ways: dict[str, tuple[Tensor, _Loss]] = {
        "cross-entropy": (torch.ones_like(wrong), cross_entropy),
        "label smoothing": (torch.ones_like(wrong), lambda logits, wanted: cross_entropy(logits, wanted, SMOOTHING)),
        "generalised cross-entropy": (
            torch.ones_like(wrong),
            lambda logits, wanted: generalised_cross_entropy(logits, wanted, q),
        ),
        "cleanlab's pruning": (~wrong, cross_entropy),
    }
    found = {}
    for name, (kept, loss) in ways.items():
        model = _classifier(z[kept], target[kept], loss, seed, steps)
        with torch.no_grad():
            logits = model(held[0])
        accuracy = (logits.argmax(1) == held[1].argmax(1)).float().mean()
        found[name] = {
            "accuracy": round(float(accuracy), 4),
            "cross-entropy": round(float(cross_entropy(logits, held[1])), 4),
            "pictures": int(kept.sum()),
        }
    return found


def _classifier(z: Tensor, target: Tensor, loss: _Loss, seed: int, steps: int) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(z.shape[1], z.shape[1]), nn.ReLU(), nn.Dropout(0.1), nn.Linear(z.shape[1], 18))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(z), (256,), generator=generator)
        noisy = functional.normalize(z[rows] + 0.01 * torch.randn(256, z.shape[1], generator=generator), dim=-1)
        value = loss(model(noisy), target[rows])
        optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return model.eval()
