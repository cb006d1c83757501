"""What a batch of pictures is made of."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.training.stores import tiny_store
from training.data.labels import INDEX, LABELS
from training.data.loader import Batch, Ladder, Mix, Pictures, batches
from training.data.own import Own
from training.devices import Device


def test_a_street_photo_that_is_hidden_is_never_shown(tmp_path: Path) -> None:
    """The store's street photos show items 0, 1 and 2; the last is hidden, whether it has a label or not."""
    tiny_store(tmp_path / "store")
    np.save(tmp_path / "store" / "street_items.npy", np.arange(3))
    labels = np.zeros((3, len(LABELS)), np.float32)
    labels[0, INDEX["red"]] = 1
    hidden = np.array([False, False, True])
    pictures = Pictures(tmp_path / "store", 64, 200, mix=Mix(street=1.0), seed=0, pseudo=labels, hidden=hidden)
    batch = Batch(*next(iter(pictures)))
    assert set(batch.item.tolist()) == {0, 1}
    assert (batch.target.argmax(1)[batch.target.any(1)] == INDEX["red"]).all()


def test_cut_outs_whose_colour_is_unknown_are_drawn_and_painted(tmp_path: Path) -> None:
    """Every picture has a label; the unlabelled cut-out's is its paint's, many different ones."""
    tiny_store(tmp_path / "store")
    disc = cv2.circle(np.zeros((128, 128), np.uint8), (64, 64), 50, 255, -1)
    item = np.dstack([np.full((128, 128, 3), (30, 40, 160), np.uint8), disc])
    own = Own(
        np.zeros((3, 160, 160), np.uint8), np.stack([item, item]), np.array([0, 1]), np.ones((2, len(LABELS)), np.bool_)
    )
    labels = np.zeros((3, len(LABELS)), np.float32)
    labels[0, INDEX["blue"]] = 1
    mix = Mix(painted=0, patterned=0, own=1.0)
    pictures = Pictures(tmp_path / "store", 64, 200, mix=mix, seed=0, pseudo=labels, own=own)
    batch = Batch(*next(iter(pictures)))
    assert (batch.target.sum(1) == 1).all()
    colours = batch.target.argmax(1)
    assert 0.55 < (colours == INDEX["blue"]).float().mean() < 0.85
    assert len(set(colours.tolist())) > 8


def test_a_balanced_ladder_draws_rare_colours_as_often_as_common_ones() -> None:
    """Ninety red rows and ten green ones, balance 1."""
    targets = np.zeros((101, len(LABELS)), np.float32)
    targets[:90, INDEX["red"]] = 1
    targets[90:100, INDEX["green"]] = 1
    ladder, rng = Ladder.balanced(targets, 1.0), np.random.default_rng(0)
    rows = np.array([ladder.draw(rng) for _ in range(2000)])
    assert rows.max() < 100
    assert 0.45 < (rows >= 90).mean() < 0.55


def test_prints_are_put_on_plain_and_painted_items_alone(tmp_path: Path) -> None:
    """All labels share themselves with ``multicolour``; patterned and made ones stay sure."""
    tiny_store(tmp_path / "store")
    several = INDEX["multicolour"]
    for mix, is_printed in (
        (Mix(painted=0, patterned=0, printed=1.0), True),
        (Mix(painted=1.0, patterned=0, printed=1.0), True),
        (Mix(painted=0, patterned=1.0, printed=1.0), False),
        (Mix(painted=0, patterned=0, made=1.0, printed=1.0), False),
    ):
        target = Batch(*next(iter(Pictures(tmp_path / "store", 64, 40, mix=mix, seed=0)))).target
        shared = (target[:, several] > 0.04) & (target[:, several] < 0.36)
        assert shared.all() if is_printed else not shared.any()


def test_pictures_do_not_depend_on_how_many_processes_compose_them(tmp_path: Path) -> None:
    tiny_store(tmp_path / "store")
    pictures = Pictures(tmp_path / "store", 64, 4, mix=Mix(street=0.3), seed=(3, 0))
    alone, shared = (list(islice(batches(pictures, workers), 5)) for workers in (0, 2))
    for one, other in zip(alone, shared, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_gpu_is_fed_by_all_cores_but_one_and_gpus_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    cpu, gpu = Device(torch.device("cpu")), Device(torch.device("cuda"))
    assert (cpu.loaders(None), cpu.loaders(0), gpu.loaders(None), gpu.loaders(3)) == (1, 0, 15, 3)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert gpu.loaders(None) == 1
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert gpu.loaders(None) == 3
