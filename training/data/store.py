"""Cut-outs and backgrounds as memory-mapped uint8 arrays, made once, so that the loader is plain NumPy and OpenCV."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.captions.items import ITEMS, item_of
from training.data.cutouts import Pixels, cut_out, lab_statistics
from training.data.labels import INDEX, LABELS, one_hot, target
from training.data.sources import Row, Skipped, read
from training.data.spool import Growing, shuffled
from worker.errors import Rejected
from worker.images import decode_whole

CUTOUT_SIDE = 128
STREET_SIDE = 160


@dataclass(frozen=True)
class Store:
    """What a training run reads.

    Parameters:
        cutouts: uint8 [N, 128, 128, 4], items on transparency.
        targets: float32 [N, 18], label distributions.
        lab: float32 [N, 6], see ``lab_statistics``.
        items: int64 [N], index into ``captions.items.ITEMS`` or -1.
        titles: N titles as the shop wrote them, "" where there is none.
        sellers: N sellers, "" where unknown.
        ids: N identifiers, as the source has them.
        street: uint8 [M, 160, 160, 3], photos of the target domain, resized without keeping the aspect.
        street_targets: float32 [M, 18], what their sellers call them; rows of zeros where the source does not tell.
        street_aspect: float32 [M], width / height before that.
        street_items: int64 [M].
        street_sellers: M sellers, "" where unknown.
        street_ids: M identifiers, as the source has them.
    """

    cutouts: Pixels
    targets: NDArray[np.float32]
    lab: NDArray[np.float32]
    items: NDArray[np.int64]
    titles: list[str]
    sellers: list[str]
    ids: list[str]
    street: Pixels
    street_targets: NDArray[np.float32]
    street_aspect: NDArray[np.float32]
    street_items: NDArray[np.int64]
    street_sellers: list[str]
    street_ids: list[str]


def _decoded(row: Row, skipped: Skipped) -> Pixels | None:
    """As the worker decodes, at its own size; None, and listed, where it would be rejected."""
    try:
        return decode_whole(row.image)
    except Rejected as rejection:
        skipped.add(row.id, f"{rejection.reason.value}: {rejection}")
        return None


def build(labelled: list[Path], street: list[Path], folder: Path, cap: int) -> tuple[Skipped, dict[str, int]]:
    """Write the store.

    Parameters:
        labelled: sources of photos on white with colours.
        street: sources of people's own photos, which need no colours.
        folder: where the arrays go.
        cap: at most this many cut-outs a colour; the shops have 50 times as much black as turquoise.

    Returns:
        the rows that could not be used, and how many cut-outs of a colour were left out beyond ``cap``.

    Raises:
        ValueError: not one labelled photo can be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    skipped = Skipped()
    cutouts = Growing(folder / "cutouts.npy", CUTOUT_SIDE, CUTOUT_SIDE, 4)
    targets, labs, items, titles, sellers, ids = [], [], [], [], [], []
    count = np.zeros(len(LABELS))
    for path in labelled:
        for row in tqdm(shuffled(read(path, skipped), folder), desc=path.stem):
            rgb = _decoded(row, skipped)
            if rgb is None:
                continue
            cut = cut_out(rgb, CUTOUT_SIDE)
            if cut is None:
                skipped.add(row.id, "no item on white found")
                continue
            lab = lab_statistics(cut)
            label = target(row.colour, row.raw_colour, lab)
            if label is None:
                skipped.add(row.id, f"label {row.raw_colour!r} contradicts the pixels or has no mapping")
                continue
            main = int(label.argmax())
            count[main] += 1
            if count[main] > cap:
                continue
            cutouts.append(cut)
            targets.append(label)
            labs.append(lab)
            items.append(item_of(row.category))
            titles.append(row.title)
            sellers.append(row.group)
            ids.append(row.id)
    if not targets:
        raise ValueError(f"no labelled photo could be used, {len(skipped.rows)} rows were skipped: {skipped.rows[:5]}")
    photos = Growing(folder / "street.npy", STREET_SIDE, STREET_SIDE, 3)
    said, aspects, kinds, street_sellers, street_ids = [], [], [], [], []
    for path in street:
        for row in tqdm(read(path, skipped, labelled=False), desc=path.stem):
            rgb = _decoded(row, skipped)
            if rgb is None:
                continue
            said.append(one_hot(row.colour) if row.colour in INDEX else np.zeros(len(LABELS), np.float32))
            small = cv2.resize(rgb, (STREET_SIDE, STREET_SIDE), interpolation=cv2.INTER_AREA)
            photos.append(small.astype(np.uint8))
            aspects.append(rgb.shape[1] / rgb.shape[0])
            kinds.append(item_of(row.category))
            street_sellers.append(row.group)
            street_ids.append(row.id)
    cutouts.save()
    photos.save()
    np.save(folder / "targets.npy", np.stack(targets))
    np.save(folder / "lab.npy", np.stack(labs))
    np.save(folder / "items.npy", np.array(items, np.int64))
    np.save(folder / "street_targets.npy", np.array(said, np.float32).reshape(-1, len(LABELS)))
    np.save(folder / "street_aspect.npy", np.array(aspects, np.float32))
    np.save(folder / "street_items.npy", np.array(kinds, np.int64))
    beyond = {label: int(found) - cap for label, found in zip(LABELS, count, strict=True) if found > cap}
    summary = {
        "titles": titles, "sellers": sellers, "ids": ids, "street_sellers": street_sellers,
        "street_ids": street_ids,
        "items": [item.key for item in ITEMS], "skipped": skipped.rows, "beyond": beyond,
    }  # fmt: skip
    (folder / "rows.json").write_text(json.dumps(summary, ensure_ascii=False), encoding="utf-8")
    return skipped, beyond


def load(folder: Path) -> Store:
    """Open the store; the pixel arrays stay on disk and are paged in.

    Raises:
        FileNotFoundError: ``colour-train prepare`` has not been run for this folder.
    """
    if not (folder / "rows.json").is_file():
        raise FileNotFoundError(f"{folder} holds no store; run `colour-train prepare` first")
    rows = json.loads((folder / "rows.json").read_text(encoding="utf-8"))

    def mapped(name: str) -> Pixels:
        array: Pixels = np.load(folder / f"{name}.npy", mmap_mode="r")
        return array

    targets = np.load(folder / "targets.npy")
    street = mapped("street")
    return Store(
        cutouts=mapped("cutouts"),
        targets=targets,
        lab=np.load(folder / "lab.npy"),
        items=np.load(folder / "items.npy"),
        titles=rows["titles"],
        sellers=rows.get("sellers") or [""] * len(targets),
        ids=rows.get("ids") or [""] * len(targets),
        street=street,
        street_targets=np.load(folder / "street_targets.npy"),
        street_aspect=np.load(folder / "street_aspect.npy"),
        street_items=np.load(folder / "street_items.npy"),
        street_sellers=rows.get("street_sellers") or [""] * len(street),
        street_ids=rows.get("street_ids") or [""] * len(street),
    )
