"""What a GPU does, as far as a machine without one can tell: bfloat16 and compilation by the same code, on the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.training.stores import tiny_store
from training.config import Config
from training.data.loader import Mix
from training.devices import Device
from training.stages import towers
from training.stages.encoder import EncoderSettings, normalised
from training.stages.text import TextSettings
from training.towers.clip import create

_PICTURES = torch.randint(256, (16, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("text_rate", [0.0, 0.001], ids=["text tower locked", "text tower tuned"])
def test_a_compiled_round_in_bfloat16_learns_what_one_in_float32_does(tmp_path: Path, text_rate: float) -> None:
    settings = EncoderSettings(steps=6, batch=8, side=64, workers=0, text_rate=text_rate)
    start = _after(tmp_path / "start", replace(settings, rate=1e-12, text_rate=text_rate * 1e-12), fast=False)
    plain = _after(tmp_path / "plain", settings, fast=False)
    fast = _after(tmp_path / "fast", settings, fast=True)
    assert 0 < _apart(fast, plain) < _apart(start, plain) / 3


def _after(out: Path, settings: EncoderSettings, *, fast: bool) -> Tensor:
    """What a round makes of some noise: normalised embeddings, float32 [16, D]."""
    config = Config(text=TextSettings(steps=3, corpus=2000), encoder=settings, mix=Mix(painted=0.3))
    tiny_store(out / "store")
    towers.train_text(config, out)
    towers.train_encoder(config, out, imagenet=True, street=False, device=Device(torch.device("cpu"), fast=fast))
    visual = create(config.model).visual.eval()
    visual.load_state_dict(torch.load(out / "encoder" / "visual.pt", weights_only=True))
    with torch.no_grad():
        return functional.normalize(visual(normalised(_PICTURES, visual)), dim=-1)


def _apart(one: Tensor, other: Tensor) -> float:
    """The mean distance by cosine."""
    return 1 - float((one * other).sum(1).mean())
