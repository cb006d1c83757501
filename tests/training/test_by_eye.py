"""Labels given by eye: what a list says of a photo is what is trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.training.stores import tiny_store
from training.config import Config, PseudoSettings
from training.data import by_eye
from training.data.labels import INDEX, one_hot
from training.stages import listed, shares
from training.stages.shop_labels import corrected


def _list(folder: Path, *lines: str) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(("id,colour,alt", *lines)) + "\n", encoding="utf-8")
    return path


def test_a_photo_gets_its_colour_a_share_of_its_second_one_and_none_where_it_is_to_be_skipped(tmp_path: Path) -> None:
    path = _list(tmp_path, "a,red,", "b,blue,lightblue", "c,skip,", "elsewhere,green,")
    target, looked = by_eye.read(path, ["a", "b", "c", "d"])
    assert looked.tolist() == [True, True, True, False]
    np.testing.assert_allclose(target.sum(1), [1, 1, 0, 0])
    assert target[0, INDEX["red"]] == 1
    assert target[1, INDEX["blue"]] > target[1, INDEX["lightblue"]] > 0


def test_a_colour_that_is_none_of_ours_is_named_with_its_photo(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a: no colours of ours: mauve"):
        by_eye.read(_list(tmp_path, "a,mauve,"), ["a"])


def test_a_list_is_found_by_its_path_or_beside_the_default_settings(tmp_path: Path) -> None:
    path = _list(tmp_path, "a,red,")
    assert listed.files(Config(pseudo=PseudoSettings(by_eye=str(path)))) == (path, None)
    assert listed.files(Config()) == (None, None)
    beside, _ = listed.files(Config(pseudo=PseudoSettings(by_eye="street-by-eye.csv")))
    assert beside is not None
    assert beside.is_file()


def test_what_was_seen_stands_for_what_the_shop_says_before_anything_is_trained(tmp_path: Path) -> None:
    """The store's first five items are red by the shop's word; two of them were looked at."""
    store = tmp_path / "store"
    tiny_store(store)
    rows = json.loads((store / "rows.json").read_text())
    rows |= {"ids": [str(number) for number in range(20)], "street_ids": ["a", "b", "c"]}
    (store / "rows.json").write_text(json.dumps(rows))
    path = _list(tmp_path, "0,burgundy,", "1,skip,", "b,green,")
    config = Config(pseudo=PseudoSettings(by_eye=str(path), shops_by_eye=str(path)))
    targets = listed.cutouts(config, store)
    assert targets[0].argmax() == INDEX["burgundy"]
    assert not targets[1].any()
    assert set(targets[2:5].argmax(1)) == {INDEX["red"]}
    np.testing.assert_array_equal(listed.cutouts(Config(), store), np.load(store / "targets.npy"))
    street, looked = listed.street(config, store)
    assert looked.tolist() == [False, True, False]
    assert street[1].argmax() == INDEX["green"]
    assert not street[[0, 2]].any()
    nobody, looked = listed.street(Config(), store)
    assert not nobody.any()
    assert not looked.any()


def test_what_a_seller_says_of_a_street_photo_counts_where_nobody_looked(tmp_path: Path) -> None:
    store = tmp_path / "store"
    tiny_store(store)
    rows = json.loads((store / "rows.json").read_text())
    (store / "rows.json").write_text(json.dumps(rows | {"street_ids": ["a", "b", "c"]}))
    np.save(store / "street_targets.npy", np.stack([one_hot("red"), one_hot("blue"), np.zeros(18, np.float32)]))
    config = Config(pseudo=PseudoSettings(by_eye=str(_list(tmp_path, "b,green,"))))
    labels, given = listed.street(config, store)
    assert given.tolist() == [True, True, False]
    assert labels[:2].argmax(1).tolist() == [INDEX["red"], INDEX["green"]]


def test_a_list_of_other_photos_with_the_same_ids_is_refused(tmp_path: Path) -> None:
    """None of the store's items is purple; the list says so of a hundred of them."""
    store = tmp_path / "store"
    tiny_store(store, each=30)
    rows = json.loads((store / "rows.json").read_text())
    (store / "rows.json").write_text(json.dumps(rows | {"ids": [str(number) for number in range(4 * 30)]}))
    other = _list(tmp_path, *(f"{number},purple," for number in range(100)))
    with pytest.raises(ValueError, match="of only 0% of its 100 photos: is it a list of other photos"):
        listed.cutouts(Config(pseudo=PseudoSettings(shops_by_eye=str(other))), store)


def test_a_share_of_the_white_photos_is_a_share_of_those_seen_to_be_white(tmp_path: Path) -> None:
    """White is the first colour; photos whose colour nobody could tell are none of it."""
    tiny_store(tmp_path / "store")
    np.savez(tmp_path / "store" / "held.npz", cutouts=np.zeros(20, np.bool_), street=np.zeros(3, np.bool_))
    targets = np.zeros((20, 18), np.float32)
    targets[:8, INDEX["white"]] = 1
    drawn = [shares.drawn(targets, tmp_path / "store", 0.5, seed).any(1).sum() for seed in range(5)]
    assert drawn == [4] * 5


def test_two_readings_of_one_photo_weigh_the_same(tmp_path: Path) -> None:
    path = _list(tmp_path, "a,red,", "a,burgundy,", "b,skip,", "b,green,", "c,skip,", "c,skip,")
    target, looked = by_eye.read(path, ["a", "b", "c"])
    assert looked.all()
    np.testing.assert_allclose(target.sum(1), [1, 1, 0])
    assert target[0, INDEX["red"]] == target[0, INDEX["burgundy"]] == 0.5
    assert target[1, INDEX["green"]] == 1


def test_readings_of_one_photo_agree_where_all_of_them_say_the_same_colour_first(tmp_path: Path) -> None:
    path = _list(tmp_path, "a,red,", "a,red,pink", "a,red,", "b,blue,", "b,black,blue", "c,green,")
    assert by_eye.agreement(path) == (2, 0.5)


def test_a_shop_that_calls_burgundy_red_is_corrected_where_nobody_looked() -> None:
    """Darkness tells the two apart; 300 of 900 photos were looked at."""
    rng = np.random.default_rng(0)
    dark = rng.random(900) < 0.4
    eye, word = np.zeros((900, 18), np.float32), np.zeros((900, 18), np.float32)
    eye[np.arange(900), np.where(dark, INDEX["burgundy"], INDEX["red"])] = 1
    word[:, INDEX["red"]] = 1
    lab = np.zeros((900, 6), np.float32)
    lab[:, 0] = np.where(dark, 25, 50) + rng.normal(0, 3, 900)
    z = rng.normal(size=(900, 8)).astype(np.float32)
    looked = np.arange(900) < 300
    seen = np.where(looked[:, None], eye, np.float32(0))
    found = corrected(lambda: z, word, lab, seen, looked, fitted=np.ones(900, bool))
    assert found.used
    assert found.shop < 0.7
    assert found.learnt > 0.95
    np.testing.assert_allclose(found.targets.sum(1), 1, atol=1e-5)
    assert (found.targets.argmax(1) == eye.argmax(1))[~looked].mean() > 0.95


def test_a_shop_that_is_right_is_believed() -> None:
    """Random embeddings and pixels teach nothing that its word does not say."""
    rng = np.random.default_rng(1)
    eye = np.eye(18, dtype=np.float32)[rng.integers(4, size=700)]
    looked = np.arange(700) < 300
    z, lab = rng.normal(size=(700, 8)).astype(np.float32), rng.normal(size=(700, 6)).astype(np.float32)
    found = corrected(lambda: z, eye, lab, eye * looked[:, None], looked, fitted=np.ones(700, bool))
    assert not found.used
    np.testing.assert_array_equal(found.targets, eye)


def test_too_few_readings_change_only_their_own_photos() -> None:
    eye, word = np.zeros((100, 18), np.float32), np.zeros((100, 18), np.float32)
    eye[:, INDEX["pink"]], word[:, INDEX["red"]] = 1, 1
    looked = np.arange(100) < 20
    zeros = np.zeros((100, 6), np.float32)
    found = corrected(_not_wanted, word, zeros, eye * looked[:, None], looked, fitted=np.ones(100, bool))
    assert not found.used
    assert (found.targets[:20].argmax(1) == INDEX["pink"]).all()
    assert (found.targets[20:].argmax(1) == INDEX["red"]).all()


def test_where_somebody_looked_at_every_photo_nothing_has_to_be_learnt() -> None:
    """Embeddings of tens of thousands of photos, and a regression on them, would take longer than all else there."""
    eye, word = np.zeros((300, 18), np.float32), np.zeros((300, 18), np.float32)
    eye[:, INDEX["pink"]], word[:, INDEX["red"]] = 1, 1
    zeros, all_of_them = np.zeros((300, 6), np.float32), np.ones(300, bool)
    found = corrected(_not_wanted, word, zeros, eye, all_of_them, fitted=all_of_them)
    assert found.shop == 0
    assert np.isnan(found.learnt)
    assert not found.used
    np.testing.assert_array_equal(found.targets, eye)


def _not_wanted() -> np.ndarray:
    pytest.fail("embeddings were computed although nothing is learnt from them")
