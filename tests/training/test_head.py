"""The head's gate, and the confidence below which an answer is uncertain."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from training.devices import alone
from training.stages.calibration import threshold_for
from training.stages.encoder import Average
from training.towers.head import ColourHead


def test_without_a_text_the_image_alone_decides() -> None:
    """Not nearly: whatever the text branch and the gate have learnt, a row of zeros adds nothing."""
    torch.manual_seed(0)
    head = ColourHead(16, 18).eval()
    head.text.bias.data.fill_(5)
    image, none = torch.randn(7, 16), torch.zeros(7, 16)
    with torch.inference_mode():
        assert torch.equal(head.logits(image, none), head.seen(image))
        told = torch.nn.functional.normalize(torch.randn(7, 16), dim=-1)
        assert (head.logits(image, told) - head.logits(image, none)).abs().amin() > 0


def test_without_a_correction_the_image_branch_answers_as_the_prototypes_do() -> None:
    torch.manual_seed(0)
    head = ColourHead(16, 18).eval()
    prototypes = torch.nn.functional.normalize(torch.randn(18, 16), dim=-1)
    head.start_from(prototypes, scale=18)
    image = torch.nn.functional.normalize(torch.randn(5, 16), dim=-1)
    with torch.inference_mode():
        torch.testing.assert_close(head.logits(image, torch.zeros(5, 16)), 18 * image @ prototypes.T)
    assert not any(
        parameter.requires_grad for parameter in (*head.correction.parameters(), *head.shortcut.parameters())
    )
    assert all(parameter.requires_grad for parameter in (*head.text.parameters(), *head.gate.parameters()))


def test_the_threshold_is_the_lowest_confidence_with_the_risk_that_is_allowed() -> None:
    """Surest first: right, right, wrong, right, wrong. Wrong among them: 0, 0, 1/3, 1/4, 2/5."""
    confidence = torch.tensor([0.5, 0.9, 0.6, 0.7, 0.8])
    probabilities = torch.stack([confidence, 1 - confidence], dim=1)
    truth = torch.tensor([1, 0, 0, 1, 0])
    assert threshold_for(probabilities, truth, 0.1) == pytest.approx(0.8)
    assert threshold_for(probabilities, truth, 0.25) == pytest.approx(0.6)
    assert threshold_for(probabilities, truth, 0.4) == pytest.approx(0.5)
    assert threshold_for(probabilities, 1 - probabilities.argmax(1), 0.1) == 0.99  # where nothing is right


def test_an_average_forgets_its_first_weights_soon_and_later_ones_slowly() -> None:
    module: Any = torch.nn.BatchNorm1d(1)
    average = Average(module, decay=0.5)
    for value in (2.0, 3.0):
        module.weight.data.fill_(value)
        module.num_batches_tracked += 1
        average.update(module)
    # Decays of 2/11 and 3/12 from a weight of 1.
    first = 2 / 11 * 1 + 9 / 11 * 2
    kept: Any = average.module
    assert kept.weight.item() == pytest.approx(0.25 * first + 0.75 * 3)
    assert kept.num_batches_tracked.item() == 2  # a counter is no weight
    assert not kept.weight.requires_grad


def test_a_stage_that_writes_alone_refuses_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    alone("head")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="`head` runs in one process"):
        alone("head")
