"""``colour-train evaluate`` from end to end on drawn photos, and the figures by hand."""

from __future__ import annotations

import html
import io
import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.training.graphs import build
from training.augmentation.recolour import PAINTS
from training.captions.items import ITEMS
from training.cli import app
from training.evaluation import figures, literature, naming, targets
from training.evaluation.literature import binding
from training.evaluation.measures import COLOURS, calibration_error, measure, precision_at, risk_coverage
from training.evaluation.photos import read
from training.evaluation.queries import Words, scores
from training.evaluation.targets import UNUSUAL
from training.rivals.pictures import to_ask
from worker.colours import Colour

_PAINTS = {"red": (200, 20, 25), "blue": (25, 50, 170), "green": (30, 120, 45)}


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    rows = []
    for number, (colour, rgb) in enumerate(list(_PAINTS.items()) * 4):
        picture = np.full((60, 80, 3), 255, np.uint8)
        picture[15:45, 20:60] = rgb
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=95)
        agreed = colour if number else None
        rows.append(
            {
                "id": number,
                "source": "object" if number % 2 else "street",
                "item": "Shirt",
                "colour": agreed,
                "label_1": colour,
                "label_2": colour if number else "pink",
                "alt_1": None,
                "alt_2": None,
                "image": buffer.getvalue(),
            }
        )
    path = tmp_path / "labelled.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_the_command_writes_both_reports(tmp_path: Path, labelled: Path) -> None:
    build(tmp_path / "models", tmp_path / "work")
    arguments = ["evaluate", "--data", str(labelled), "--out", str(tmp_path / "report")]
    result = CliRunner().invoke(app, [*arguments, "--repository", str(tmp_path / "models")], catch_exceptions=False)
    assert result.exit_code == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    ours = report["rows"]["this model, image only"]
    assert (ours["n_strict"], ours["n_lenient"]) == (11, 12)
    named = report["rows"]["colour naming: middle of the photo, CIELAB, XKCD"]
    assert named["strict"] == 1
    assert named["lenient"] == 1
    assert UNUSUAL in report["tests"]
    assert set(report["tests"]["objects plated with gold and silver"]) == {"all", "gold", "silver"}
    assert report["rivals"] == [name for name in report["rows"] if name.startswith("colour naming")]
    assert "plain CNN classifier" in report["facts"]["not measured, since not trained"]
    page = (tmp_path / "report" / "report.html").read_text()
    whole = [name for name in report["rows"] if not name.startswith("this model, image only,")]
    assert page.count("answer</text>") == len(whole)  # a confusion matrix each
    assert page.count("share of photos answered</text>") == len(whole) - len(report["rivals"])
    for name in whole:
        assert f"{name}: strict" in page or name == "this model, image only"
    for target in targets.reached(report):
        assert f"<td>{target.name}</td>" in html.unescape(page)


def test_a_row_that_cannot_be_used_is_counted_and_told(labelled: Path, tmp_path: Path) -> None:
    rows = pq.read_table(labelled).to_pylist()
    rows[1] |= {"image": rows[1]["image"][:200]}
    rows[2] |= {"colour": None, "label_1": None, "label_2": None}
    rows[3] |= {"label_2": "crimson"}
    path = tmp_path / "broken.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    photos = read(path)
    assert len(photos) == 9
    assert [identifier for identifier, _ in photos.skipped.rows] == ["1", "2", "3"]
    assert "crimson" in photos.skipped.rows[2][1]
    pq.write_table(pa.Table.from_pylist(rows[1:4]), path)
    with pytest.raises(ValueError, match="none of its 3 rows"):
        read(path)


def test_a_target_is_met_from_its_bound_on() -> None:
    report = {
        "rows": {
            targets.OURS: {"strict": 0.8, "lenient": 0.879, "macro_f1": 0.75, "ece": 0.051},
            "other": {"strict": 0.71},
        },
        "rivals": ["other"],
        "tests": {UNUSUAL: {"all": 0.9}},
        "served": {targets.MEGABYTES: 40.1},
    }
    found = {target.name: target.met for target in targets.reached(report)}
    assert found == {
        "strict accuracy": True,
        "lenient accuracy": False,
        "macro-F1": True,
        "expected calibration error": False,
        "strict accuracy above the best rival's": False,
        UNUSUAL: True,
        targets.MEGABYTES: False,
    }


def test_paint_and_plating_are_followed_by_who_sees_them(labelled: Path) -> None:
    """A classifier that names the nearest measured paint or metal of the middle."""

    def middle(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.stack([naming.name(picture, naming.middle(picture)) for picture in pictures])

    def metal(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        warm = [
            int(picture[28:36, 28:36, 0].mean()) - int(picture[28:36, 28:36, 2].mean()) > 30 for picture in pictures
        ]
        said = [COLOURS.index(Colour.GOLD if gold else Colour.SILVER) for gold in warm]
        return np.eye(18, dtype=np.float32)[said]

    photos = read(labelled)
    assert literature.unusual(middle, 64, photos.data)["all"] > 0.5
    assert literature.unusual(metal, 64, photos.data)["all"] == 0
    assert literature.plated(metal, 64, photos.data) == {"all": 1, "gold": 1, "silver": 1}


def test_labels_are_read_with_their_alternatives(labelled: Path) -> None:
    photos = read(labelled)
    assert photos.truth[0] is None
    assert photos.accepted[0] == {Colour.RED, Colour.PINK}
    assert photos.pixels(32).shape == (12, 32, 32, 3)


def test_figures_by_hand() -> None:
    answers = [Colour.RED, Colour.RED, Colour.BLUE, Colour.PINK]
    rows = np.zeros((4, 18), np.float32)
    for row, colour in enumerate(answers):
        rows[row, list(Colour).index(colour)] = 0.8
        rows[row, list(Colour).index(Colour.GREEN)] = 0.2
    truth = [Colour.RED, Colour.GREEN, Colour.BLUE, None]
    accepted = [frozenset({colour}) for colour in (Colour.RED, Colour.GREEN, Colour.BLUE, Colour.PINK)]
    found = measure(rows, truth, accepted, ["", "", "", ""])
    assert found.strict == pytest.approx(2 / 3)
    assert found.lenient == pytest.approx(3 / 4)
    assert found.top2 == 1
    # Red: precision 1/2, recall 1. Green: 0. Blue: 1.
    assert found.macro_f1 == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found.ece == pytest.approx((0.2 + 0.8 + 0.2) / 3)


def test_the_interval_is_as_wide_as_few_sellers_make_it() -> None:
    """Half of 400 photos are right: about 50 +- 5 % if nothing ties them together, all or nothing if two sellers do."""
    red = list(Colour).index(Colour.RED)
    rows = np.eye(18, dtype=np.float32)[np.where(np.arange(400) < 200, red, red - 1)]
    truth = [Colour.RED] * 400
    accepted = [frozenset({Colour.RED})] * 400
    alone = measure(rows, truth, accepted, [""] * 400)
    assert alone.low == pytest.approx(0.45, abs=0.01)
    assert alone.high == pytest.approx(0.55, abs=0.01)
    two = measure(rows, truth, accepted, ["a"] * 200 + ["b"] * 200)
    assert (two.strict, two.low, two.high) == (0.5, 0, 1)


def test_calibration_error_of_honest_confidence_is_small() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.2, 1, 20_000).astype(np.float32)
    hits = random.random(20_000) < confidence
    assert calibration_error(confidence, hits) < 0.02
    assert calibration_error(np.ones(20_000, np.float32), hits) == pytest.approx(1 - hits.mean(), abs=0.01)


def test_risk_grows_with_coverage_where_confidence_is_honest() -> None:
    coverage, risk = risk_coverage(np.array([0.9, 0.5, 0.7], np.float32), np.array([True, False, True]))
    np.testing.assert_allclose(coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(risk, [0, 0, 1 / 3])


def test_precision_counts_no_deeper_than_there_are_relevant_photos() -> None:
    similarity = np.array([0.9, 0.8, 0.1, 0.7], np.float32)
    assert precision_at(similarity, np.array([True, False, False, True])) == 0.5


@pytest.mark.parametrize(
    ("colour", "rgb"), [*_PAINTS.items(), ("burgundy", (110, 10, 40)), ("turquoise", (30, 190, 180))]
)
def test_naming_knows_plain_paints(colour: str, rgb: tuple[int, int, int]) -> None:
    picture = np.full((40, 40, 3), rgb, np.uint8)
    votes = naming.name(picture, naming.middle(picture))
    assert list(Colour)[int(votes.argmax())] == colour


def test_the_garment_that_fills_the_photo_counts_not_the_one_beside_it() -> None:
    """A classifier that looks at the middle is right on every pair; one that looks at the edges reads the other."""

    def middle(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.stack([nearest(picture[30:34, 30:34].mean((0, 1))) for picture in pictures])

    def corner(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        lower = pictures[:, 48:52]
        sides = [picture[:, at : at + 3].mean((0, 1)) for picture in lower for at in (10, 51)]
        far = [np.abs(side - (202, 198, 191)).sum() for side in sides]
        pairs = zip(far[::2], far[1::2], sides[::2], sides[1::2], strict=True)
        return np.stack([nearest(left if a > b else right) for a, b, left, right in pairs])

    def nearest(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        lab = cv2.cvtColor((rgb / 255).astype(np.float32)[None, None], cv2.COLOR_RGB2LAB)[0, 0]
        row = np.full(18, -np.inf, np.float32)
        for colour, centres in PAINTS.items():
            row[list(Colour).index(Colour(colour))] = -np.linalg.norm(lab - np.array(centres[0]))
        return row

    found = binding(middle, 64)
    assert found["right"] > 0.95
    assert found["other"] < 0.03
    assert binding(corner, 64)["other"] > 0.6


def test_parts_find_what_one_cosine_cannot_weigh(tmp_path: Path) -> None:
    """Colour by the head, item and pair by the tower: the photo that has both is first, a bright wrong one is not."""
    apart = np.eye(18, 40, dtype=np.float32), np.eye(len(ITEMS), 40, 18, dtype=np.float32)
    together = (apart[0][:, None] + apart[1][None]).reshape(-1, 40) / np.float32(2**0.5)
    words = Words(*apart, pairs=together)
    dress = next(i for i, item in enumerate(ITEMS) if item.key == "dress")
    query = words.colours[9] + 0.8 * words.items[dress]

    class Served:
        def embed_texts(self, texts: list[str]) -> npt.NDArray[np.float32]:
            return np.stack([query for _ in texts])

    images = np.stack([0.9 * words.items[dress], 0.3 * words.items[dress] + words.colours[9], words.colours[9]])
    colours = np.full((3, 18), 0.01, np.float32)
    colours[0, 9], colours[1, 9], colours[2, 9] = 0.9, 0.02, 0.9
    how = {"images": images, "colours": colours}
    assert scores(Served(), words, "красное платье", way="parts", **how).argmax() == 0  # type: ignore[arg-type]
    assert scores(Served(), words, "красное платье", way="cosine", **how).argmax() == 1  # type: ignore[arg-type]


def test_the_pages_figures_are_those_of_the_kept_report() -> None:
    """A figure that no command printed cannot stand in the documentation."""
    root = Path(__file__).parents[2]
    text = (root / "docs" / "training.md").read_text(encoding="utf-8")
    written = text.split(figures.BEGIN, 1)[1].split(figures.END, 1)[0].lstrip("\n")
    report = json.loads((root / "docs" / "results" / "listings-dev.json").read_text(encoding="utf-8"))
    assert written == figures.table(report), "run `colour-train figures`"


@pytest.mark.parametrize(("colour", "rgb"), [*_PAINTS.items(), ("yellow", (225, 195, 40))])
def test_a_rivals_white_balance_leaves_an_item_on_white_its_colour(colour: str, rgb: tuple[int, int, int]) -> None:
    """Beside a letterbox's bars; under a warm lamp the ground tells the light, and it is taken away."""
    photo = np.full((96, 64, 3), 254, np.uint8)
    cv2.circle(photo, (32, 48), 24, rgb, -1)
    warm = np.clip(photo * np.array([1.0, 0.9, 0.75]), 0, 255).astype(np.uint8)
    for seen in (photo, warm):
        pixels = np.full((96, 96, 3), 255, np.uint8)
        pixels[:, 16:80] = seen
        votes = naming.name(naming.balance(pixels), naming.middle(pixels))
        assert list(Colour)[votes.argmax()] == colour
        asked = to_ask("cut", pixels)[48, 48].astype(int)
        assert np.abs(asked - rgb).max() < 40
