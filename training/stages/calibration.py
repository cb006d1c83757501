"""Confidence that is the chance to be right, and the confidence below which an answer is ``uncertain``."""

from __future__ import annotations

import torch
from torch import Tensor

from training.data import by_eye

_AGREED = 0.99 - by_eye.SECOND
"""Less is a first colour's share of a label only when not everybody who looked named it first."""


def agreed(target: Tensor) -> Tensor:
    """The pictures that can tell, bool [n]: those whose readings all name one colour first; all, where there are none.

    Confidence is the chance that a picture's colour is this one, so pictures must have one: where people disagree
    about it, nobody can say whether an answer is wrong. A second colour that would do as well is no disagreement.

    Parameters:
        target: label distributions, float32 [n, labels].
    """
    found = target.max(1).values >= _AGREED
    return found if found.any() else torch.ones_like(found)


def fit_temperature(logits: Tensor, target: Tensor) -> float:
    """The one temperature that minimises cross-entropy on held-out pictures (arXiv 1706.04599), within 0.05 to 20.

    Raises:
        ValueError: the logits are not finite.
    """
    if not bool(logits.isfinite().all()):
        raise ValueError("the head's logits are not finite; train it with a lower rate")
    log_t = torch.zeros((), requires_grad=True)
    # Few or perfectly separated pictures have no minimum: the line search and the bounds keep the answer a number.
    optimiser = torch.optim.LBFGS([log_t], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = -(target * (logits / log_t.clamp(-3, 3).exp()).log_softmax(1)).sum(1).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return float(log_t.detach().exp().clamp(0.05, 20))


def threshold_for(probabilities: Tensor, truth: Tensor, risk: float) -> float:
    """The lowest confidence above which the share of wrong answers is at most ``risk``."""
    confidence, answer = probabilities.max(1)
    order = confidence.argsort(descending=True)
    wrong = (answer != truth)[order].float().cumsum(0) / torch.arange(1, len(order) + 1)
    fine = torch.nonzero(wrong <= risk)
    return float(confidence[order[int(fine[-1])]]) if len(fine) else 0.99
