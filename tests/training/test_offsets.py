"""Offsets of colours, from photos that people labelled by eye."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from tests.training.stores import tiny_store
from training.data.labels import INDEX, LABELS, one_hot
from training.stages import offsets


def test_what_is_said_too_often_is_said_less_often() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(3, (600,), generator=generator)
    logits = 4 * nn.functional.one_hot(truth, 3).float() + torch.randn(600, 3, generator=generator)
    crooked = logits + torch.tensor([3.0, 0.0, 0.0])
    found = offsets.fit(crooked, nn.functional.one_hot(truth, 3).float())
    before = (crooked.argmax(1) == truth).float().mean()
    after = ((crooked + found).argmax(1) == truth).float().mean()
    assert after > before + 0.1
    assert abs(float(found.mean())) < 1e-5


def test_few_photos_move_a_colour_less_than_many_that_say_the_same() -> None:
    """A hundred photos, each of whose logits hold the second colour level with the first, show only the first."""
    few, many = (offsets.fit(torch.zeros(count, 2), torch.eye(2)[:1].expand(count, 2)) for count in (1, 100))
    assert 0 < float(few[0]) < 0.1
    assert float(many[0]) > 5 * float(few[0])


def test_a_colour_that_no_photo_shows_is_not_banished() -> None:
    """It is only as far below the mean as the prior lets two photos push it: less than a tenth of a logit."""
    found = offsets.fit(torch.zeros(2, len(LABELS)), torch.eye(len(LABELS))[:2])
    assert -0.1 < float(found[2:].min()) < 0


def test_a_colour_is_not_drowned_by_one_that_is_photographed_nine_times_as_often() -> None:
    """Logits that say nothing: nine to one among the photos is three to one among the weights."""
    truth = torch.zeros(2000, dtype=torch.long)
    truth[:200] = 1
    found = offsets.fit(torch.zeros(2000, 2), nn.functional.one_hot(truth, 2).float())
    assert abs(float(found[0] - found[1]) - math.log(3)) < 0.1


class _Mean(nn.Module):
    preprocess_cfg: ClassVar = {"mean": (0.5,) * 3, "std": (0.5,) * 3}

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean((2, 3)) + 2


def test_only_photos_that_are_held_out_and_labelled_count(tmp_path: Path) -> None:
    tiny_store(tmp_path / "store")
    np.savez(tmp_path / "store" / "held.npz", cutouts=np.zeros(20, np.bool_), street=np.array([True, False, True]))
    labels = np.stack([one_hot("grey"), one_hot("red"), np.zeros(len(LABELS), np.float32)])
    found = offsets.seen(_Mean(), tmp_path / "store", labels, 64)
    assert found is not None
    embeddings, target = found
    assert embeddings.shape == (1, 3)
    assert int(target[0].argmax()) == INDEX["grey"]
    assert offsets.seen(_Mean(), tmp_path / "store", np.zeros_like(labels), 64) is None
