"""Drawn things: what shops do not show."""

from __future__ import annotations

import cv2
import numpy as np

from training.data import things
from training.data.labels import INDEX, LABELS


def test_every_thing_has_a_body_and_a_colour() -> None:
    drawn = things.load()
    assert len(drawn.cutouts) == len(drawn.targets) == 655
    np.testing.assert_allclose(drawn.targets.sum(1), 1, atol=1e-5)
    assert ((drawn.cutouts[:, :, :, 3] > 128).mean((1, 2)) > 0.05).all()


def test_things_look_like_their_colours() -> None:
    """Red ones are reddish, and what is called white, grey, silver or black has next to no chroma."""
    drawn = things.load()
    main = drawn.targets.argmax(1)
    lab = np.stack(
        [
            np.median(
                cv2.cvtColor(one[:, :, :3].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[one[:, :, 3] > 128], axis=0
            )
            for one in drawn.cutouts
        ]
    )
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    neutral = np.isin(main, [INDEX[name] for name in ("white", "grey", "silver", "black")])
    assert np.quantile(chroma[neutral], 0.9) < 8
    assert np.median(chroma[~neutral]) > 30
    assert np.median(lab[main == INDEX["red"], 1]) > 50
    assert np.median(lab[main == INDEX["green"], 1]) < -20
    assert {LABELS[label] for label in main} >= {"gold", "silver", "beige", "brown", "multicolour"}
