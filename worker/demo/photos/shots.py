"""From an order to a file: which photos are wanted, made in parallel, once."""

from __future__ import annotations

import multiprocessing
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from worker.colours import Colour
from worker.demo.photos import cuttings, flatlay, studio
from worker.demo.photos.march import Buffers, View, trace
from worker.demo.photos.noise import Array, to_srgb
from worker.demo.photos.outlines import GARMENTS
from worker.demo.photos.paints import Paint
from worker.demo.photos.solids import SOLIDS

Technique = Literal["solid", "garment", "recoloured", "original"]

_FLOORS = ("oak", "walnut", "pine", "carpet", "dark carpet", "tiles", "white", "grey", "sand", "concrete")
_WALLS = ("white", "sage", "sand", "grey")
_OUTDOORS = ("gravel", "grass", "concrete")
_BEDS = ("oak", "walnut", "pine", "linen", "blue sheet", "carpet", "dark carpet", "white", "grey", "sand")
_ENAMELLED = frozenset({"mug", "teapot", "vase", "table", "car", "suitcase", "boots"})
_VIEWS = (
    (View(25, 18, 3.6, -40), True),
    (View(-33, 25, 3.6, -75), False),
)
"""Each with whether a wall stands behind."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo to be made.

    Parameters:
        file: its name; the suffix decides the format.
        technique: how it is made.
        subject: what it shows, a name that the technique knows.
        colour: of the subject; None for photos that are left as they are.
        seed: of everything that is left to chance.
    """

    file: str
    technique: Technique
    subject: str
    colour: Colour | None
    seed: int


def make(shots: Sequence[Shot], folder: Path, advance: Callable[[int], None]) -> None:
    """Make the photos, on all cores.

    Parameters:
        advance: called with the number of photos that were finished since the last call.
    """
    jobs: dict[tuple[str, str, int], list[Shot]] = defaultdict(list)
    for shot in shots:
        # Shots of one view share its tracing, which costs far more than painting it.
        jobs[shot.technique, shot.subject, shot.seed % len(_VIEWS)].append(shot)
    # Spawned, not forked: the caller has threads.
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        for finished in as_completed([pool.submit(_make, job, folder) for job in jobs.values()]):
            advance(finished.result())


def _make(shots: Sequence[Shot], folder: Path) -> int:
    os.nice(5)  # the servers start at the same time
    first = shots[0]
    view, wall = _VIEWS[first.seed % len(_VIEWS)]
    buffers = trace(SOLIDS[first.subject], view, wall=wall) if first.technique == "solid" else None
    for shot in shots:
        image = _picture(shot, buffers)
        _save(image, folder / shot.file, quality=80 + shot.seed % 13)
    return len(shots)


def _picture(shot: Shot, buffers: Buffers | None) -> Image.Image:
    if shot.colour is None:
        return cuttings.original(shot.subject)
    rng = np.random.default_rng(shot.seed)
    paint = Paint.choose(shot.colour, rng)
    if shot.technique == "recoloured":
        return _image(cuttings.recoloured(shot.subject, paint))
    if shot.technique == "garment":
        cloth = flatlay.Cloth(
            knit=float(rng.uniform(0, 1)),
            turn=float(rng.normal(0, 5)),
            size=float(rng.uniform(0.82, 0.98)),
            folds=float(rng.uniform(0.5, 1.3)),
        )
        floor = _BEDS[rng.integers(len(_BEDS))]
        picture = flatlay.photograph(GARMENTS[shot.subject], paint, cloth, floor, rng)
        return _image(studio.develop(picture, rng))
    if buffers is None:
        raise ValueError(f"{shot.subject} was not traced")
    outdoors = shot.subject == "car"
    floors = _OUTDOORS if outdoors else _FLOORS
    setting = studio.Setting(
        floor=floors[rng.integers(len(floors))],
        wall=None if outdoors else _WALLS[rng.integers(len(_WALLS))],
        warmth=float(rng.uniform(-1, 1)),
        exposure=float(rng.uniform(0.94, 1.12)),
        gloss=float(rng.uniform(0.6, 1.0) if shot.subject in _ENAMELLED else rng.uniform(0.0, 0.15)),
    )
    image = _image(studio.develop(studio.photograph(buffers, paint, setting), rng))
    return ImageOps.mirror(image) if rng.random() < 0.5 else _moved(image, rng)


def _image(picture: Array) -> Image.Image:
    """Linear light to an 8-bit picture, reduced a little, which smooths its edges."""
    bytes_ = (np.clip(to_srgb(picture), 0, 1) * 255 + 0.5).astype(np.uint8)
    image = Image.fromarray(bytes_)
    return image.resize((image.width * 6 // 7, image.height * 6 // 7), Image.Resampling.LANCZOS)


def _moved(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Nobody holds a phone quite centred."""
    side = image.width
    cut = int(side * rng.uniform(0.84, 1.0))
    left, upper = (int(rng.uniform(0.3, 0.7) * (side - cut)) for _ in range(2))
    return image.crop((left, upper, left + cut, upper + cut))


def _save(image: Image.Image, path: Path, *, quality: int) -> None:
    match path.suffix:
        case ".jpg":
            image.save(path, "JPEG", quality=quality, optimize=True)
        case ".webp":
            image.save(path, "WEBP", quality=quality)
        case ".png":
            image.save(path, "PNG")
        case other:
            raise ValueError(f"no format is known for {other!r}")
