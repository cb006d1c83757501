"""The model repository as a folder, and the comparison of golden answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import release_copies as copies
from worker.colours import NAMES, Colour
from worker.errors import ConfigurationError
from worker.models import golden
from worker.models.repository import MODELS, Repository, fingerprint, written

COMMITTED = Path(__file__).parents[2] / "triton_models"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return copies.copy(tmp_path / "models")


def test_the_committed_versions_have_the_files_that_their_fingerprints_promise() -> None:
    committed = Repository(COMMITTED)
    for name, version in committed.active().items():
        committed.check_files(MODELS[name], version)
    release = committed.release(committed.active())
    assert release.head.version == committed.active()["head"]


def test_a_fingerprint_covers_what_decides_the_answers_and_nothing_else(repository: Repository) -> None:
    folder = repository.version("colour_head", "2")
    before = fingerprint(folder)
    (folder / "golden.npz").write_bytes(b"other")
    assert fingerprint(folder) == before
    (folder / "model.onnx").write_bytes(b"")
    assert fingerprint(folder) != before


def test_a_configuration_is_written_whole_and_read_back(repository: Repository) -> None:
    config = repository.config("colour_release")
    config.parameters["release/active"].string_value = written(copies.SECOND)
    repository.write("colour_release", config)
    assert repository.config("colour_release") == config
    assert repository.active() == copies.SECOND
    assert [path.name for path in (repository.folder / "colour_release").glob("*.partial")] == []


def test_a_folder_that_is_no_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"colour_image, colour_text, colour_head, colour_release; .* --repository"
    ):
        Repository(tmp_path)


def test_a_broken_configuration_is_named(repository: Repository) -> None:
    (repository.folder / "colour_text" / "config.pbtxt").write_text("name: ")
    with pytest.raises(ConfigurationError, match=r"colour_text/config\.pbtxt cannot be read"):
        repository.config("colour_text")


def test_versions_are_those_with_a_folder_in_the_order_of_their_numbers(repository: Repository) -> None:
    (repository.folder / "colour_head" / "10").mkdir()
    assert repository.versions("colour_head") == ["1", "2", "3", "10"]
    assert repository.served("colour_head") == {"1"}


@pytest.mark.parametrize("wrong", [0.01, float("nan"), float("inf")])
def test_an_answer_out_of_tolerance_is_refused(wrong: float) -> None:
    exported = np.zeros((2, 3), np.float32)
    found = exported.copy()
    found[1, 2] = wrong
    with pytest.raises(ConfigurationError, match="away from the exported answers"):
        golden._difference("colour_head", found, exported, 0.005)
    found[1, 2] = 0.001
    assert golden._difference("colour_head", found, exported, 0.005).largest == pytest.approx(0.001)


def test_an_answer_of_another_shape_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\(2, 3\), exported were \(2, 4\)"):
        golden._difference("colour_head", np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32), 1)


def test_every_swatch_but_multicolour_has_a_plain_colour() -> None:
    for name in NAMES.values():
        if name.colour != Colour.MULTICOLOUR:
            assert len(golden._first_hex(name.swatch)) == 3
