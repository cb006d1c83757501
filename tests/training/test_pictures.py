"""Cut-outs, labels and composed pictures, on made shop photos."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.augmentation.compose import compose, letterbox
from training.augmentation.light import automatic
from training.augmentation.objects import made_object
from training.augmentation.recolour import METALS, OUTER, PAINTS, gilded, paint, pattern, printed, random_paint, shades
from training.data.cutouts import cut_out, lab_statistics
from training.data.labels import INDEX, LABELS, one_hot, target


def shop_photo(rgb: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A disc of one colour on white, as a shop would photograph it."""
    photo = np.full((120, 90, 3), 255, np.uint8)
    cv2.circle(photo, (45, 60), 30, rgb, -1)
    return photo


def test_an_item_on_white_is_cut_out_whole() -> None:
    """The mask is the disc, fitted into the square."""
    cut = cut_out(shop_photo((180, 20, 30)), 64)
    assert cut is not None
    assert cut.shape == (64, 64, 4)
    assert (cut[:, :, 3] > 128).mean() == pytest.approx(np.pi / 4, abs=0.04)


def test_a_hole_that_is_white_stays_part_of_the_item() -> None:
    """White inside the item is the item's: only what touches the border is background."""
    photo = shop_photo((20, 20, 160))
    cv2.circle(photo, (45, 60), 10, (255, 255, 255), -1)
    cut = cut_out(photo, 64)
    assert cut is not None
    assert cut[32, 32, 3] > 200


def test_a_photo_without_white_gives_nothing() -> None:
    """A street photo has no cut-out."""
    assert cut_out(np.full((80, 80, 3), 90, np.uint8), 64) is None


@pytest.mark.parametrize(
    ("lab", "expected"),
    [((30.0, 5.0, -35.0), "blue"), ((75.0, -5.0, -22.0), "lightblue"), ((55.0, -30.0, -8.0), "turquoise")],
)
def test_the_shops_blue_is_split_by_the_item_itself(lab: tuple[float, float, float], expected: str) -> None:
    """Russian has two words for it, the shops have one."""
    label = target("blue_or_lightblue", "Blue", np.array([*lab, 0, 0, 0], np.float32))
    assert label is not None
    assert LABELS[int(label.argmax())] == expected
    assert label.sum() == pytest.approx(1)


def test_a_label_that_the_pixels_contradict_is_dropped() -> None:
    """A "green" item without chroma, and a "white" one that is dark."""
    assert target("green", "Green", np.array([50, 0, 1, 0, 0, 0], np.float32)) is None
    assert target("white", "White", np.array([15, 0, 1, 0, 0, 0], np.float32)) is None


@pytest.mark.parametrize("colour", sorted(PAINTS))
def test_paint_moves_an_item_to_the_colour_of_its_label(colour: str) -> None:
    """The painted median lies within a just visible distance of the paint."""
    cut = cut_out(shop_photo((120, 110, 100)), 64)
    assert cut is not None
    wanted = PAINTS[colour][0]
    painted = paint(cut, wanted, np.random.default_rng(0))
    assert np.linalg.norm(lab_statistics(painted)[:3] - np.array(wanted)) < 18


def test_a_composed_picture_shows_the_item_where_its_mask_says() -> None:
    """Mask and pixels agree, and the picture is letterboxed to the side."""
    cut = cut_out(shop_photo((200, 10, 20)), 64)
    assert cut is not None
    rng = np.random.default_rng(3)
    street = np.full((160, 160, 3), (90, 140, 90), np.uint8)
    for _ in range(8):
        pixels, mask = compose(cut, street, 96, rng)
        assert pixels.shape == (96, 96, 3)
        assert mask.shape == (96, 96)
        inside = pixels[mask > 250].astype(int)
        assert (inside[:, 0] > inside[:, 1]).mean() > 0.95


def test_studios_are_white_or_light_grey() -> None:
    """Without an item, and where no camera was at work, a studio's ground is one flat grey."""
    nothing, street = np.zeros((64, 64, 4), np.uint8), np.full((160, 160, 3), (90, 140, 90), np.uint8)
    rng = np.random.default_rng(0)
    patches = [compose(nothing, street, 64, rng)[0][28:36, 28:36] for _ in range(400)]
    flat = [int(patch[0, 0, 0]) for patch in patches if patch.min() == patch.max()]
    white, grey = sum(level == 255 for level in flat), sum(150 <= level < 255 for level in flat)
    assert white > grey > 10


def test_letterbox_centres_on_white() -> None:
    """As the worker's decoder does."""
    boxed = letterbox(np.zeros((96, 72, 3), np.uint8), 96)
    assert (boxed[:, :12] == 255).all()
    assert (boxed[:, 12:84] == 0).all()
    assert INDEX["white"] == 0


@pytest.mark.parametrize("metal", sorted(METALS))
def test_metal_mirrors_dark_and_light_and_keeps_its_hue(metal: str) -> None:
    """Even an item without any shading of its own."""
    cut = cut_out(shop_photo((120, 110, 100)), 64)
    assert cut is not None
    plated = gilded(cut, metal, np.random.default_rng(0))
    inside = cv2.cvtColor(plated[:, :, :3].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[plated[:, :, 3] > 128]
    low, high = np.percentile(inside[:, 0], (10, 90))
    assert high - low > 5
    assert (np.median(inside[:, 2]) > 20) == (metal == "gold")


def test_a_made_object_shows_its_label_on_most_of_its_body() -> None:
    """A red one has red pixels; limbs of other stuff stay few; nothing lies beside the mask."""
    rng = np.random.default_rng(2)
    seen = set()
    for _ in range(150):
        rgba, label = made_object(rng)
        name = LABELS[int(label.argmax())]
        seen.add(name)
        assert rgba.shape == (128, 128, 4)
        assert label.sum() == 1
        assert (rgba[:, :, 3] > 128).mean() > 0.02
        if name in ("red", "green", "blue"):
            inside = rgba[rgba[:, :, 3] > 200][:, :3].astype(int)
            channel = ("red", "green", "blue").index(name)
            assert (inside.argmax(1) == channel).mean() > 0.5, name
    assert seen == {*PAINTS, *METALS}


def test_automatic_white_balance_cools_what_lies_on_a_red_rug() -> None:
    """It never warms it, and leaves a grey scene alone."""
    rug = np.full((40, 40, 3), (150, 40, 45), np.uint8)
    rug[12:28, 12:28] = 128
    gains = np.array([automatic(rug, np.random.default_rng(seed)) for seed in range(20)])
    assert (gains[:, 0] <= 1).all()
    assert (gains[:, 1:] >= 1).all()
    assert gains[:, 0].min() < 0.9
    assert automatic(np.full((8, 8, 3), 90, np.uint8), np.random.default_rng(0)) == pytest.approx(1)


def test_a_print_covers_as_much_as_its_label_says_and_the_ground_keeps_its_name() -> None:
    """Dots, stripes and pictures on a plain red disc: what is no longer red is what ``multicolour`` gets."""
    cut = cut_out(shop_photo((200, 10, 20)), 128)
    assert cut is not None
    inside = cut[:, :, 3] > 128
    for seed in range(30):
        item, label = printed(cut, one_hot("red"), np.random.default_rng(seed))
        changed = (item[:, :, :3] != cut[:, :, :3]).any(2)[inside].mean()
        assert changed == pytest.approx(label[INDEX["multicolour"]], abs=0.08)
        assert label.argmax() == INDEX["red"]
        assert label.sum() == pytest.approx(1)
        assert (item[:, :, 3] == cut[:, :, 3]).all()


def test_a_print_adds_nothing_to_what_is_of_many_colours() -> None:
    """The label stays a distribution, all of it ``multicolour``."""
    cut = cut_out(shop_photo((200, 10, 20)), 64)
    assert cut is not None
    item, label = pattern(cut, np.random.default_rng(0))
    _, label = printed(item, label, np.random.default_rng(1))
    assert label[INDEX["multicolour"]] == pytest.approx(1)


def test_nearly_every_pattern_shows_two_colours_or_more() -> None:
    """Checks of cloth too: less than nine tenths lie near the median; chance may draw few."""
    cut = cut_out(shop_photo((120, 110, 100)), 128)
    assert cut is not None
    inside = cut[:, :, 3] > 200
    several = 0
    for seed in range(60):
        item, label = pattern(cut, np.random.default_rng(seed))
        assert label.argmax() == INDEX["multicolour"]
        lab = cv2.cvtColor(item[:, :, :3].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[inside]
        several += (np.linalg.norm(lab - np.median(lab, axis=0), axis=1) < 12).mean() < 0.9
    assert several > 55


def test_shades_are_measured_on_plain_items_whose_label_is_sure() -> None:
    """A spotted one, an unsure one and a metal give none."""
    lab = np.array([[66, 12, 58, 9, 3, 4], [40, 5, 8, 9, 30, 4], [30, 1, 2, 9, 3, 4], [80, 0, 9, 9, 3, 4]], np.float32)
    unsure = 0.6 * one_hot("black") + 0.4 * one_hot("grey")
    targets = np.stack([one_hot("yellow"), one_hot("brown"), unsure, one_hot("gold")])
    assert shades(lab, targets) == {"yellow": [(66.0, 12.0, 58.0)]}


def test_items_are_painted_in_real_shades_too() -> None:
    """A yellow that no list has, and never a shade of another colour."""
    cut = cut_out(shop_photo((120, 110, 100)), 64)
    assert cut is not None
    real, rng, found = {"yellow": [(40.0, -25.0, 45.0)]}, np.random.default_rng(5), 0
    for _ in range(400):
        item, label = random_paint(cut, rng, real)
        if np.linalg.norm(lab_statistics(item)[:3] - np.array(real["yellow"][0])) < 12:
            found += label.argmax() == INDEX["yellow"]
    assert found > 3
    assert set(OUTER) <= set(PAINTS)


def test_a_colour_of_many_shades_is_painted_more_often() -> None:
    """Grey has eleven paints, yellow four: the square root of that as often. White is drawn as if it had five."""
    item, rng = np.full((8, 8, 4), 255, np.uint8), np.random.default_rng(1)
    drawn = np.sum([random_paint(item, rng)[1] for _ in range(8000)], axis=0)
    assert drawn[INDEX["grey"]] / drawn[INDEX["yellow"]] == pytest.approx((11 / 4) ** 0.5, rel=0.15)
    assert drawn[INDEX["white"]] / drawn[INDEX["yellow"]] == pytest.approx((5 / 4) ** 0.5, rel=0.15)
    assert drawn[INDEX["white"]] > 1.1 * drawn[INDEX["beige"]]


def test_metals_are_drawn_less_often_than_any_paint() -> None:
    item, rng = np.full((8, 8, 4), 255, np.uint8), np.random.default_rng(0)
    drawn = np.sum([random_paint(item, rng)[1] for _ in range(8000)], axis=0)
    assert 0 < max(drawn[INDEX[metal]] for metal in METALS) < min(drawn[INDEX[name]] for name in PAINTS)
