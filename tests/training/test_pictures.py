"""Cut-outs, labels and composed pictures, on made shop photos."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.augmentation.compose import compose, letterbox
from training.augmentation.objects import made_object
from training.augmentation.recolour import METALS, PAINTS, gilded, paint
from training.data.cutouts import cut_out, lab_statistics
from training.data.labels import INDEX, LABELS, target


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
