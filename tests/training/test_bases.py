"""Any CLIP that open_clip can build is a base: here a small ViT of OpenAI's kind, from a local file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from tests.training.stores import tiny_store
from training.config import Config
from training.data.loader import Mix
from training.stages import towers
from training.stages.encoder import EncoderSettings
from training.towers import serving
from training.towers.bases import tokenizer_of
from training.towers.clip import create, registered, statistics
from training.towers.tokenizer import encode

_VIT = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture
def base(tmp_path: Path) -> Config:
    """A configuration whose weights lie in a local file."""
    (tmp_path / "small-vit.json").write_text(json.dumps(_VIT))
    model = str(tmp_path / "small-vit.json")
    torch.manual_seed(3)
    weights = tmp_path / "weights.pt"
    torch.save(open_clip.create_model(registered(model)).state_dict(), weights)
    settings = EncoderSettings(steps=2, batch=8, side=32, workers=0, unlocked_groups=1)
    return Config(model=model, pretrained=str(weights), encoder=settings, served_side=32, mix=Mix(patterned=0))


@pytest.mark.filterwarnings("default")
def test_its_own_text_tower_and_tokenizer_are_kept_and_its_last_layers_tuned(base: Config, tmp_path: Path) -> None:
    out = tmp_path / "model"
    tiny_store(out / "store")
    towers.train_text(base, out)
    assert towers.train_scratch(base, out) == 0
    before = torch.load(out / "scratch" / "clip.pt", weights_only=True)
    towers.train_encoder(base, out, imagenet=True, street=False)
    after = torch.load(out / "encoder" / "visual.pt", weights_only=True)
    changed = {name for name, value in after.items() if not torch.equal(value, before[f"visual.{name}"])}
    assert "proj" in changed
    assert not any(name.startswith(("conv1", "transformer.resblocks.0")) for name in changed)
    kept = torch.load(out / "text" / "text.pt", weights_only=True)
    assert all(torch.equal(value, before[f"text.{name}"]) for name, value in kept.items())


@pytest.mark.filterwarnings("default")
def test_its_own_normalisation_is_served(base: Config) -> None:
    visual = create(base.model, base.pretrained).visual
    mean, std = statistics(visual)
    assert mean == open_clip.OPENAI_DATASET_MEAN
    graph = serving.ImageGraph(visual, mean, std).eval()
    pixels = torch.full((1, 32, 32, 3), 128, dtype=torch.uint8)
    by_hand = (torch.full((1, 3, 32, 32), 128 / 255) - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(
        1, 3, 1, 1
    )
    expected = torch.nn.functional.normalize(visual.eval()(by_hand), dim=-1)
    np.testing.assert_allclose(graph(pixels).detach(), expected.detach(), atol=1e-5)


@pytest.mark.filterwarnings("default")
def test_weights_that_are_asked_for_must_be_there(base: Config) -> None:
    with pytest.raises(RuntimeError):
        create(base.model, "no-such-tag")


def test_a_side_that_the_tower_does_not_take_is_named(base: Config, tmp_path: Path) -> None:
    from dataclasses import replace

    tiny_store(tmp_path / "model" / "store")
    towers.train_text(base, tmp_path / "model")
    wrong = replace(base, encoder=EncoderSettings(side=96))
    with pytest.raises(ValueError, match="takes 32 px"):
        towers.train_encoder(wrong, tmp_path / "model", imagenet=False, street=False)


def test_clips_tokenizer_is_written_as_one_file_that_gives_the_same_tokens() -> None:
    theirs, ours = open_clip.get_tokenizer("ViT-B-32"), tokenizer_of("ViT-B-32")
    texts = ["Бордовое платье, р. 42", "a burgundy dress", "", "don't  STOP", "red " * 100]
    assert torch.equal(theirs(texts), encode(ours, texts))
