"""The contrastive loss by hand and against open_clip's, on one process and on two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import open_clip
import pytest
import torch
from torch.nn import functional

from training.stages.scratch import contrastive


def pairs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images, texts = (functional.normalize(torch.randn(count, 8, generator=generator), dim=-1) for _ in range(2))
    return images, texts


def test_without_equal_captions_it_is_cliploss() -> None:
    """Every caption is right for its own picture only: what open_clip always assumes."""
    images, texts = pairs(6)
    ours = contrastive(images, texts, torch.arange(6), torch.tensor(14.0))
    theirs = open_clip.ClipLoss()(images, texts, torch.tensor(14.0))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_equal_captions_do_not_push_each_other_apart() -> None:
    """Two pictures of one meaning: the loss is as low as can be when all four embeddings are one."""
    one, other = functional.normalize(torch.randn(2, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    images = torch.stack([one, one, other]).requires_grad_()
    meaning = torch.tensor([5, 5, 9])
    loss = contrastive(images, images.detach(), meaning, torch.tensor(30.0))
    assert loss.item() == pytest.approx((2 * torch.log(torch.tensor(2.0)) / 3).item(), abs=0.02)
    apart = open_clip.ClipLoss()(images, images.detach(), torch.tensor(30.0))
    assert apart.item() == pytest.approx(loss.item(), abs=0.02)
    spread = torch.stack([one, other, other])
    assert contrastive(spread, images.detach(), meaning, torch.tensor(30.0)) > loss + 1


@pytest.mark.long
@pytest.mark.timeout(300)
def test_two_processes_have_the_gradients_of_one() -> None:
    """Negatives come from both, and every row's gradient finds its way back."""
    script = Path(__file__).with_name("gradients_of_two.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(script.parents[2])}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run([*torchrun, str(script)], check=True, env=environment)
