"""Labels that people gave by eye, in the lists that the settings name: known before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.config import Config, beside_settings
from training.data import by_eye
from training.data import store as stores


def files(config: Config) -> tuple[Path | None, Path | None]:
    """The lists of street photos and of shops' photos: paths, or files beside the settings."""
    return beside_settings(config.pseudo.by_eye), beside_settings(config.pseudo.shops_by_eye)


def inputs(config: Config) -> dict[str, Path]:
    """Both lists by name, as a stage records what it reads."""
    return {path.name: path for path in files(config) if path is not None}


def cutouts(config: Config, store: Path) -> NDArray[np.float32]:
    """Labels of the cut-outs, float32 [N, 18]: what was seen where somebody looked, else the shops' own words.

    Rows of zeros are photos whose colour nobody could tell.
    """
    loaded, path = stores.load(store), files(config)[1]
    targets: NDArray[np.float32] = np.array(loaded.targets)
    if path is not None:
        seen, looked = by_eye.read(path, loaded.ids)
        targets[looked] = seen[looked]
    return targets


def street(config: Config, store: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Labels of the street photos, float32 [M, 18], and whether somebody looked, bool [M]; zeros where nobody did."""
    loaded, path = stores.load(store), files(config)[0]
    if path is None:
        return np.zeros((len(loaded.street), loaded.targets.shape[1]), np.float32), np.zeros(len(loaded.street), bool)
    return by_eye.read(path, loaded.street_ids)
