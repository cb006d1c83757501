"""Labels given by eye: what a list says of a photo is what is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.config import Config, PseudoSettings
from training.data import by_eye
from training.data.labels import INDEX
from training.stages.towers import by_eye_file


def _list(folder: Path, *lines: str) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(("id,colour,alt", *lines)) + "\n", encoding="utf-8")
    return path


def test_a_photo_gets_its_colour_a_share_of_its_second_one_and_none_where_it_is_to_be_skipped(tmp_path: Path) -> None:
    path = _list(tmp_path, "a,red,", "b,blue,lightblue", "c,skip,", "elsewhere,green,")
    target, listed = by_eye.read(path, ["a", "b", "c", "d"])
    assert listed.tolist() == [True, True, True, False]
    np.testing.assert_allclose(target.sum(1), [1, 1, 0, 0])
    assert target[0, INDEX["red"]] == 1
    assert target[1, INDEX["blue"]] > target[1, INDEX["lightblue"]] > 0


def test_a_colour_that_is_none_of_ours_is_named_with_its_photo(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a: no colours of ours: mauve"):
        by_eye.read(_list(tmp_path, "a,mauve,"), ["a"])


def test_a_list_is_found_by_its_path_or_beside_the_default_settings(tmp_path: Path) -> None:
    path = _list(tmp_path, "a,red,")
    assert by_eye_file(Config(pseudo=PseudoSettings(by_eye=str(path)))) == path
    assert by_eye_file(Config()) is None
    beside = by_eye_file(Config(pseudo=PseudoSettings(by_eye="street-by-eye.csv")))
    assert beside is not None
    assert beside.is_file()
