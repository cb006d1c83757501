"""People's own photos taken apart: outlines, cut-outs, and what may be learnt from them."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.augmentation.compose import disturb
from training.augmentation.grounds import tinted
from training.data.labels import INDEX
from training.data.own import refined, taken_apart

Photo = NDArray[np.uint8]


def street_photo(rgb: tuple[int, int, int]) -> tuple[Photo, NDArray[np.float32]]:
    """A disc on a carpet, uint8 [160, 160, 3], and a coarse map of where it is, float32 [160, 160]."""
    grain = np.random.default_rng(0).integers(-12, 12, (160, 160, 1))
    photo = np.clip(np.full((160, 160, 3), (150, 120, 80)) + grain, 0, 255).astype(np.uint8)
    cv2.circle(photo, (80, 80), 45, rgb, -1)
    inside = cv2.circle(np.zeros((160, 160), np.float32), (80, 80), 45, 1.0, -1)
    return photo, cv2.GaussianBlur(inside, (0, 0), 6).astype(np.float32)


def test_an_outline_follows_the_items_own_edge() -> None:
    """The coarse map is soft by a tenth of the photo; the outline is the disc's."""
    photo, likely = street_photo((30, 40, 160))
    mask = refined(photo, likely)
    assert mask is not None
    disc = cv2.circle(np.zeros((160, 160), np.uint8), (80, 80), 45, 255, -1)
    assert (mask != disc).mean() < 0.01


@pytest.mark.parametrize("likely", [np.zeros, np.ones])
def test_a_map_that_shows_no_item_gives_no_outline(likely: object) -> None:
    """Nothing, or everything, in front."""
    photo, _ = street_photo((30, 40, 160))
    assert callable(likely)
    assert refined(photo, likely((160, 160), np.float32)) is None


def test_an_outline_that_the_map_belies_is_not_used() -> None:
    """The map says left half, the photo has its only edge around a disc in the middle."""
    photo, _ = street_photo((30, 40, 160))
    half = np.zeros((160, 160), np.float32)
    half[20:140, 10:80] = 0.8
    half[75:85, 40:45] = 1.0
    assert refined(photo, half) is None


def test_cut_outs_keep_the_photos_aspect_and_the_row_that_they_come_from() -> None:
    """The second photo was twice as wide as high; the first one shows nothing."""
    photo, likely = street_photo((30, 40, 160))
    own = taken_apart(
        np.stack([photo, photo]), np.array([1.0, 2.0], np.float32), np.stack([np.zeros_like(likely), likely])
    )
    assert own.rows.tolist() == [1]
    assert not own.masks[0].any()
    ys, xs = np.nonzero(own.cutouts[0, :, :, 3] > 128)
    assert np.ptp(xs) == pytest.approx(2 * np.ptp(ys), rel=0.06)
    assert own.fits[0, INDEX["blue"]]
    assert not own.fits[0, INDEX["white"]]


def test_held_out_photos_leave_neither_mask_nor_cut_out() -> None:
    """What is held out is not seen in any form."""
    photo, likely = street_photo((30, 40, 160))
    own = taken_apart(np.stack([photo] * 2), np.ones(2, np.float32), np.stack([likely] * 2))
    left = own.without(np.array([True, False]))
    assert left.rows.tolist() == [1]
    assert not left.masks[0].any()
    assert left.masks[1].any()
    assert len(left.cutouts) == len(left.fits) == 1


def test_a_ground_takes_another_colour_and_the_item_keeps_its_own() -> None:
    """The median colour of the item moves with the light only; the ground's goes anywhere."""
    photo, likely = street_photo((30, 40, 160))
    mask = np.where(likely > 0.5, 255, 0).astype(np.uint8)
    rng, blue, brown = np.random.default_rng(0), 0, 0
    for _ in range(40):
        pixels, known = disturb(photo, 1.0, 96, rng, mask)
        inside, outside = np.median(pixels[known > 250], 0), np.median(pixels[known == 0], 0)
        blue += int(inside.argmax() == 2)
        brown += int(outside[0] > outside[1] > outside[2])
    assert blue == 40
    assert 15 < brown < 40


def test_tinted_keeps_folds() -> None:
    """Light and dark stripes stay where they were."""
    stripes = np.repeat(np.tile([90, 150], 20)[None, :, None], 40, 0).repeat(3, 2).astype(np.uint8)
    for seed in range(10):
        lightness = cv2.cvtColor(tinted(stripes, np.random.default_rng(seed)), cv2.COLOR_RGB2GRAY)
        assert lightness[:, 1::2].mean() > lightness[:, ::2].mean()
