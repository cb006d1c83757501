"""All stages on a tiny made data set, by the same command lines as in earnest, and the result measured."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from training.cli import app
from training.config import load
from training.evaluation.release import load as load_release
from training.journal import Journal
from training.serving.repository import HEAD, active
from training.stages import shares
from training.stages.calibration import agreed, fit_temperature
from training.towers import serving
from training.towers.tokenizer import encode
from training.towers.tokenizer import load as load_tokenizer

_PAINTS = {"red": (200, 20, 25), "black": (20, 20, 22), "green": (30, 120, 45), "white": (225, 225, 222)}
_SMALL: dict[str, Any] = {
    "served_side": 64,
    "text": {"steps": 3, "corpus": 300},
    "scratch": {"batch": 8, "side": 32, "workers": 0, "epochs": 1, "save_every": 1},
    "encoder": {"steps": 4, "batch": 8, "side": 64, "workers": 0, "save_every": 2, "text_rate": 0.02},
    "street_encoder": {"steps": 2, "batch": 8, "side": 64, "workers": 0, "save_every": 1, "text_rate": 0.02},
    "mix": {"street": 0.3},
    "pseudo": {"keep": 1, "floor": 0},
    "head": {
        "pictures": 64,
        "steps": 5,
        "batch": 16,
        "workers": 0,
        "correction": {"steps": 3, "batch": 8, "pictures": 64},
    },
    "rivals": {"steps": 2, "batch": 8, "side": 32},
}


def _picture(rgb: tuple[int, int, int], ground: int) -> bytes:
    pixels = np.full((80, 60, 3), ground, np.uint8)
    pixels[20:65, 12:48] = rgb
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    shop = [
        {
            "id": f"{colour}-{number}",
            "title": f"Nike {colour} shirt",
            "category": "Shirts",
            "raw_colour": colour,
            "colour": colour,
            "image": _picture(rgb, 255),
        }
        for colour, rgb in _PAINTS.items()
        for number in range(6)
    ]
    shop.append({**shop[0], "id": "broken", "image": b"no picture"})
    street = [
        {"id": str(number), "category": "Shirt", "seller": "1", "image": _picture((90, 80, 160), 140)}
        for number in range(5)
    ]
    pq.write_table(pa.Table.from_pylist(shop), data / "catalogue.parquet")
    pq.write_table(pa.Table.from_pylist(shop[:4]), data / "studio.parquet")
    pq.write_table(pa.Table.from_pylist(street), data / "street-unlabelled.parquet")
    labelled = [
        {"id": row["id"], "colour": row["colour"], "image": row["image"], "seller": str(1 + number % 2)}
        for number, row in enumerate(shop[:-1:3])
    ]
    pq.write_table(pa.Table.from_pylist(labelled), data / "labelled.parquet")
    (data / "seen.csv").write_text("id,colour,alt\n0,purple,\n3,purple,blue\n")
    seen = _SMALL["pseudo"] | {"by_eye": str(data / "seen.csv")}
    (data / "small.yaml").write_text(yaml.safe_dump(_SMALL | {"pseudo": seen}))
    return data


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _weights(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return weights


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Threads cost more than they bring at this size, and much more where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.filterwarnings("default")
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("_one_thread")
def test_every_stage_hands_on_to_the_next(made: Path, tmp_path: Path) -> None:
    out, repository = tmp_path / "model", tmp_path / "models"
    common = ["--out", str(out), "--config", str(made / "small.yaml")]
    assert "1 rows could not be used" in _run("prepare", "--data", str(made), *common)
    _run("scratch", *common)
    _run("encoder", "--no-street", "--no-imagenet", *common)
    assert "photos: 5\nlabelled by eye or by sellers: 2" in _run("label", *common)
    _run("encoder", "--street", "--no-imagenet", *common)
    assert "cleanlab's pruning" in _run("head", "--compare", *common)
    rounds = {name: _weights(out / name / "text.pt") for name in ("text", "encoder", "street", "model")}
    for name, kept in rounds["model"].items():
        torch.testing.assert_close(kept, 0.4 * rounds["encoder"][name] + 0.6 * rounds["street"][name])
    _run("rivals", *common)
    assert _run("export", "--out", str(out), "--repository", str(repository)).count("from PyTorch") == 3

    # Another version lies beside the active release; one that is written over goes on being it.
    for version, told in ((2, "beside the active release"), (1, "from PyTorch")):
        assert told in _run("export", "--version", str(version), "--out", str(out), "--repository", str(repository))
        assert active(repository) == {"image": 1, "text": 1, "head": 1}
    assert {path.name for path in (repository / HEAD).iterdir() if path.is_dir()} == {"1", "2"}

    served = load_release(repository)
    assert served.release.image.side == 64
    images = served.embed_pictures(np.zeros((3, 64, 64, 3), np.uint8))
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=2e-3)
    tokens = encode(load_tokenizer(out / "text" / "tokenizer.json"), ["красное платье", "red dress"])
    texts, tower = served.embed_texts(["красное платье", "red dress"]), serving.load(out / "model").text
    np.testing.assert_allclose(texts, tower(tokens).detach(), atol=2e-3)
    tower.tower.load_state_dict(rounds["text"])
    assert np.abs(texts - tower(tokens).detach().numpy()).max() > 0.01
    probabilities = served.probabilities(images, served.embed_texts(["красное платье", "", "red dress"]))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-4)
    skipped = json.loads((out / "store" / "rows.json").read_text())["skipped"]
    assert [reason.split(":")[0] for name, reason in skipped if name == "broken"] == ["not_an_image"]

    entries = json.loads((out / "run.json").read_text())
    assert {name: entry["state"] for name, entry in entries.items()} == dict.fromkeys(
        ("prepare", "titles", "scratch", "encoder", "label", "street", "head", "rival-whole", "rival-cut", "export"),
        "done",
    )
    assert len(entries["prepare"]["inputs"]["catalogue.parquet"]) == 64
    assert entries["encoder"]["seeds"] == {"settings.seed": 0}
    # What was seen is known to every stage that learns colours: another list, and they are made anew.
    assert all(
        "pseudo.by_eye" in entries[name]["inputs"] for name in ("scratch", "encoder", "label", "head", "rival-cut")
    )
    assert set(entries["head"]["results"]["losses compared"]) >= {"label smoothing", "generalised cross-entropy"}

    evaluated = ["--data", str(made / "labelled.parquet"), "--model", str(out), "--out", str(out / "report")]
    _run("evaluate", *evaluated, "--repository", str(repository), "--no-tests")
    report = json.loads((out / "report" / "report.json").read_text())
    assert sum("CNN classifier" in name for name in report["rows"]) == 2
    assert {"base before tuning, zero-shot, Russian", "base before tuning, zero-shot, English"} <= set(report["rows"])
    assert {
        "this model, image only, sellers with labelled photos",
        "this model, image only, sellers without labelled photos",
    } <= set(report["rows"])
    assert all(speed > 0 for speed in report["speeds"].values())
    card = Path(_run("card", "--out", str(out), "--repository", str(repository)).strip())
    assert entries["prepare"]["inputs"]["catalogue.parquet"] in card.read_text()
    assert served.release.names.head in card.read_text()

    before = (out / "model" / "head.pt").stat().st_mtime_ns
    for stage in (["scratch"], ["encoder", "--no-street", "--no-imagenet"], ["label"], ["head", "--compare"]):
        assert "done already" in _run(*stage, *common)
    assert (out / "model" / "head.pt").stat().st_mtime_ns == before

    settings = yaml.safe_load((made / "small.yaml").read_text())
    settings["head"] |= {"logit_adjustment": {"silver": -2.0}}
    (tmp_path / "adjusted.yaml").write_text(yaml.safe_dump(settings))
    head = ["head", "--out", str(out), "--config", str(tmp_path / "adjusted.yaml")]
    _run(*head)
    adjusted = json.loads((out / "run.json").read_text())["head"]["results"]["offsets"]
    offsets = entries["head"]["results"]["offsets"]
    assert adjusted == offsets | {"silver": pytest.approx(offsets["silver"] - 2, abs=0.011)}

    # Embeddings that an earlier run left change nothing.
    trained = _weights(out / "model" / "head.pt")
    for cached in (out / "model").glob("embeddings-*.pt"):
        cached.unlink()
    _run(*head, "--again")
    assert all(torch.equal(trained[name], again) for name, again in _weights(out / "model" / "head.pt").items())

    _run(*head, "--fraction", "0.34")
    config = json.loads((out / "run.json").read_text())["head"]["config"]
    assert (config["fraction"], config["epochs"]) == (0.34, 5)


def test_a_share_is_of_each_colour_and_leaves_what_is_held_out(made: Path, tmp_path: Path) -> None:
    _run("prepare", "--data", str(made), "--out", str(tmp_path), "--config", str(made / "small.yaml"))
    targets = np.load(tmp_path / "store" / "targets.npy")
    held = np.zeros(len(targets), np.bool_)
    held[:2] = True
    marks = dict(np.load(tmp_path / "store" / "held.npz"))
    np.savez(tmp_path / "store" / "held.npz", **(marks | {"cutouts": held}))
    found, pictures = shares.drawn_and_held(targets, tmp_path / "store", 0.34, 2, seed=0)
    assert (found[held] == targets[held]).all()
    free = targets[~held].argmax(1)
    left = found[~held]
    counts = {int(colour): int((free == colour).sum()) for colour in np.unique(free)}
    drawn = {colour: int((left[free == colour].sum(1) > 0).sum()) for colour in counts}
    assert drawn == {colour: -(-34 * count // 100) for colour, count in counts.items()}
    assert pictures == 2 * sum(drawn.values())


class Killed(Exception):
    """As if the process ended here."""


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "stage", [["encoder", "--no-street", "--no-imagenet"], ["scratch"]], ids=lambda stage: stage[0]
)
def test_two_processes_share_the_work(made: Path, tmp_path: Path, stage: list[str]) -> None:
    common = ["--out", str(tmp_path / "model"), "--config", str(made / "small.yaml")]
    _run("prepare", "--data", str(made), *common)
    _run("scratch", "--titles-only", *common)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        "-m",
        "training.cli",
    ]
    subprocess.run([*command, *stage, *common], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    entry = json.loads((tmp_path / "model" / "run.json").read_text())[stage[0]]
    assert entry["state"] == "done"
    if stage[0] == "encoder":
        assert entry["results"] == {"steps": 4, "pictures": 4 * 8, "processes": 2}


@pytest.mark.filterwarnings("default")
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("text_rate", [0, 0.02], ids=["text locked", "text tuned"])
def test_a_seed_repeats_its_weights_even_through_a_kill(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text_rate: float
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump(_SMALL | {"encoder": _SMALL["encoder"] | {"text_rate": text_rate}}))
    _run("prepare", "--data", str(made), "--out", str(tmp_path / "one"))
    _run("scratch", "--titles-only", "--out", str(tmp_path / "one"), "--config", str(settings))
    stale = tmp_path / "one" / "encoder" / "text.pt"
    stale.parent.mkdir()
    stale.write_bytes(b"of a run that tuned it")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    train = ["encoder", "--no-street", "--no-imagenet", "--config", str(settings), "--out"]
    _run(*train, str(tmp_path / "one"))
    shown, last = Journal.step, 3

    def kill(journal: Journal, number: int, *rest: Any) -> None:
        shown(journal, number, *rest)
        if number == last:
            raise Killed

    monkeypatch.setattr(Journal, "step", kill)
    with pytest.raises(Killed):
        _run(*train, str(tmp_path / "other"))
    monkeypatch.undo()
    assert json.loads((tmp_path / "other" / "run.json").read_text())["encoder"]["state"] == "begun"
    _run(*train, str(tmp_path / "other"))
    assert json.loads((tmp_path / "other" / "run.json").read_text())["encoder"]["sittings"] == 2
    for tower in ("visual", "text") if text_rate else ("visual",):
        unbroken, resumed = (_weights(tmp_path / name / "encoder" / f"{tower}.pt") for name in ("one", "other"))
        for name, tensor in unbroken.items():
            assert torch.equal(tensor, resumed[name]), name
    assert stale.exists() == (text_rate > 0)
    if text_rate:
        before, after = (_weights(tmp_path / "one" / folder / "text.pt") for folder in ("text", "encoder"))
        assert [name for name, weight in before.items() if not torch.equal(weight, after[name])]


def test_a_setting_that_no_stage_knows_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("encoder: {stepps: 3}\n")
    with pytest.raises(ValueError, match="stepps"):
        load(path)


@pytest.mark.parametrize("count", [6, 600])
@pytest.mark.parametrize("scale", [0.1, 1, 5])
def test_a_temperature_is_a_number_even_where_there_is_no_best_one(count: int, scale: float) -> None:
    logits = torch.randn(count, 18, generator=torch.Generator().manual_seed(0)) * scale
    perfect = torch.nn.functional.one_hot(logits.argmax(1), 18).float()
    assert 0.04 < fit_temperature(logits, perfect) < 20.1
    assert 0.04 < fit_temperature(logits, perfect.roll(1, 0)) < 20.1


def test_a_temperature_undoes_what_made_the_model_too_sure() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(4000, 18, generator=generator) * 2
    drawn = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    target = torch.nn.functional.one_hot(drawn, 18).float()
    assert fit_temperature(3 * honest, target) == pytest.approx(3, rel=0.1)


def test_pictures_count_for_calibration_whose_readings_name_one_colour_first() -> None:
    """One reading with a second colour, two that differ, three that are alike; where no two agree, all count."""
    target = torch.zeros(3, 18)
    target[0, :2], target[1, 3:5], target[2, 7] = torch.tensor([0.7, 0.3]), 0.5, 1.0
    assert agreed(target).tolist() == [True, False, True]
    assert agreed(target[1:2]).tolist() == [True]
