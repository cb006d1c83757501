"""What labelled photos add to the prototypes' answers, and what they must not change."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.training.stores import tiny_store
from training.data.labels import INDEX, LABELS, one_hot
from training.stages import corrections
from training.stages.corrections import CorrectionSettings, Photos, Seen
from training.towers.head import ColourHead

_WIDTH = 32
_SETTINGS = CorrectionSettings(steps=300, batch=64, rate=5e-3)


def _near(direction: Tensor, count: int, seed: int) -> Tensor:
    noise = 0.05 * torch.randn(count, _WIDTH, generator=torch.Generator().manual_seed(seed))
    return functional.normalize(direction + noise, dim=-1)


def _labelled(colour: str, count: int) -> Tensor:
    return torch.from_numpy(one_hot(colour)).expand(count, -1).clone()


@pytest.fixture
def head() -> ColourHead:
    torch.manual_seed(0)
    head = ColourHead(_WIDTH, len(LABELS))
    head.start_from(torch.eye(_WIDTH)[: len(LABELS)], scale=18)
    return head


def _photos(z: Tensor, held: Tensor, *, said: str, held_said: str) -> Photos:
    none = Seen(torch.zeros(0, 0), torch.zeros(0, len(LABELS)))
    street, unseen = Seen(z, _labelled(said, len(z))), Seen(held, _labelled(held_said, len(held)))
    return Photos(none, street, none, unseen)


def test_what_photos_say_is_learnt_and_unusual_things_keep_their_answers(head: ColourHead) -> None:
    """Dull red things are called brown by the prototypes, and burgundy by people; what is painted brown is brown."""
    axes = torch.eye(_WIDTH)
    dull = axes[INDEX["brown"]] + 0.5 * axes[INDEX["red"]] + axes[30]
    painted = _near(axes[INDEX["brown"]] + 0.8 * axes[31], 200, 3)
    seen = _photos(_near(dull, 200, 1), _near(dull, 50, 2), said="burgundy", held_said="burgundy")
    before = head.seen(painted).softmax(1)
    assert set(head.seen(seen.held_street.z).argmax(1).tolist()) == {INDEX["brown"]}

    careless = copy.deepcopy(head)
    corrections.fit(careless, seen, painted, replace(_SETTINGS, hold=0.0), seed=0)
    assert (careless.seen(painted).softmax(1) - before).abs().max() > 0.5

    found = corrections.fit(head, seen, painted, _SETTINGS, seed=0)
    assert set(head.seen(seen.held_street.z).argmax(1).tolist()) == {INDEX["burgundy"]}
    assert (head.seen(painted).softmax(1) - before).abs().max() < 0.1
    assert found["held-out street photos, accuracy before the correction"] == 0
    assert found["held-out street photos, accuracy after"] == 1
    assert not any(parameter.requires_grad for parameter in head.correction.parameters())
    assert not head.correction.training  # its dropout would disturb what is trained on its answers


def test_a_correction_that_unseen_photos_belie_is_taken_back(head: ColourHead) -> None:
    axes = torch.eye(_WIDTH)
    red = axes[INDEX["red"]]
    seen = _photos(_near(red, 200, 1), _near(red, 50, 2), said="green", held_said="red")
    unusual = _near(axes[INDEX["purple"]], 50, 3)
    found = corrections.fit(head, seen, unusual, _SETTINGS, seed=0)
    torch.testing.assert_close(head.seen(seen.held_street.z), head.shortcut(seen.held_street.z))
    assert found["held-out street photos, accuracy after"] == 1


class _Mean(nn.Module):
    """Left and right half's mean colour: a mirrored photo is another one."""

    preprocess_cfg: ClassVar = {"mean": (0.5,) * 3, "std": (0.5,) * 3}

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, pixels: Tensor) -> Tensor:
        self.calls += 1
        left, right = pixels.chunk(2, dim=3)
        return torch.cat([left.mean((2, 3)) + 2, right.mean((2, 3)) + 2], dim=1)


def test_photos_are_seen_as_served_and_those_held_out_apart(tmp_path: Path) -> None:
    store = tmp_path / "store"
    tiny_store(store)
    street = np.load(store / "street.npy")
    street[:, :, :80] = 20
    np.save(store / "street.npy", street)
    held = np.arange(20) >= 15
    np.savez(store / "held.npz", cutouts=held, street=np.array([True, False, False]))
    targets = np.load(store / "targets.npy")
    targets[0] = 0
    given = np.stack([one_hot("grey"), one_hot("red"), np.zeros(len(LABELS), np.float32)])
    (tmp_path / "visual.pt").write_bytes(b"weights")
    tower = _Mean()
    seen = corrections.photos(tower, store, tmp_path / "kept.pt", side=64, targets=targets, given=given)
    assert [len(kind.z) for kind in seen] == [14, 2, 5, 1]
    assert torch.equal(seen.shops.target, torch.from_numpy(targets[1:15]))
    assert seen.street.target.argmax(1).tolist() == [INDEX["red"]] * 2
    plain, mirrored = seen.street.z
    torch.testing.assert_close(plain.view(2, 3).flip(0), mirrored.view(2, 3))
    assert not torch.equal(plain, mirrored)
    assert int(seen.held_street.target.argmax()) == INDEX["grey"]

    calls = tower.calls
    again = corrections.photos(tower, store, tmp_path / "kept.pt", side=64, targets=targets, given=given)
    assert tower.calls == calls
    assert torch.equal(again.shops.z, seen.shops.z)
    corrections.photos(tower, store, tmp_path / "kept.pt", side=64, targets=targets, given=None)
    assert tower.calls > calls  # other labels
