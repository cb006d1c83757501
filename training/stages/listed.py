"""Labels that are known before anything is trained: by eye, in the lists that the settings name, or by the sellers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.config import Config, beside_settings
from training.data import by_eye
from training.data import store as stores

_SEVERAL, _SAME = 50, 0.4
"""A list of these very photos agrees with the shops' own words on most of them (the committed one on 70 %); a list of
others with the same ids, by chance."""


def files(config: Config) -> tuple[Path | None, Path | None]:
    """The lists of street photos and of shops' photos: paths, or files beside the settings."""
    return beside_settings(config.pseudo.by_eye), beside_settings(config.pseudo.shops_by_eye)


def inputs(config: Config) -> dict[str, Path]:
    """Both lists, as a stage records what it reads."""
    named = zip(("by_eye", "shops_by_eye"), files(config), strict=True)
    return {f"pseudo.{name}": path for name, path in named if path is not None}


def cutouts(config: Config, store: Path) -> NDArray[np.float32]:
    """Labels of the cut-outs, float32 [N, 18]: what was seen where somebody looked, else the shops' own words.

    Rows of zeros are photos whose colour nobody could tell.

    Raises:
        ValueError: the list contradicts the shops so often that it must be of other photos with the same ids.
    """
    loaded, path = stores.load(store), files(config)[1]
    targets: NDArray[np.float32] = np.array(loaded.targets)
    if path is not None:
        seen, looked = by_eye.read(path, loaded.ids)
        both = seen.any(1) & targets.any(1)
        same = float((seen.argmax(1) == targets.argmax(1))[both].mean()) if both.sum() >= _SEVERAL else 1.0
        if same < _SAME:
            raise ValueError(
                f"{path} names the shops' own colour of only {same:.0%} of its {both.sum()} photos: is it a list of "
                "other photos with the same ids? Set pseudo.shops_by_eye to a list of yours, or to null"
            )
        targets[looked] = seen[looked]
    return targets


def street(config: Config, store: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Labels of the street photos, float32 [M, 18], and whether one was given, bool [M]: by eye, else by the seller.

    Rows of zeros are photos that nobody labelled, or whose colour nobody could tell.
    """
    loaded, path = stores.load(store), files(config)[0]
    labels: NDArray[np.float32] = np.array(loaded.street_targets)
    given = np.asarray(labels.any(1))
    if path is not None:
        seen, looked = by_eye.read(path, loaded.street_ids)
        labels[looked], given = seen[looked], given | looked
    return labels, given
