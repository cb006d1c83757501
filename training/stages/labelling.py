"""Better labels for the second round: of people's own photos, and of the shops' photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from training.config import Config, beside_settings
from training.data import by_eye, own, splits
from training.data import store as stores
from training.data.cutouts import Pixels
from training.stages import pseudo, shop_labels
from training.stages.encoder import normalised
from training.stages.towers import first_text, with_text
from training.towers.clip import prototypes


def label(config: Config, out: Path) -> dict[str, Any]:
    """Write ``street/pseudo.npy``, labels of the street photos, ``targets.npy``, of the cut-outs, and ``own.npz``.

    Street photos are labelled by eye where somebody looked, else by the first round's tower; cut-outs by eye where
    somebody looked, else by what the shop's word was found to be worth, see ``shop_labels``. ``own.npz`` has the items
    of the street photos, cut out where the tower is sure of them.

    Returns:
        how many street photos there are and have labels of each kind, and how good the shops' words were found to be.
    """
    clip, tokenizer = with_text(config, out, weights=first_text(out))
    clip.visual.load_state_dict(torch.load(out / "encoder" / "visual.pt", map_location="cpu", weights_only=True))
    labels = pseudo.pseudo_labels(
        clip.visual, prototypes(clip.text, tokenizer, joint=False), out / "store", config.encoder.side,
        keep=config.pseudo.keep, floor=config.pseudo.floor, sharpen=config.pseudo.sharpen,
    )  # fmt: skip
    store = stores.load(out / "store")
    street, cutouts = files(config)
    listed = np.zeros(len(labels), bool)
    if street is not None:
        seen, listed = by_eye.read(street, store.street_ids)
        labels[listed] = seen[listed]
    (out / "street").mkdir(exist_ok=True)
    np.save(out / "street" / "pseudo.npy", labels)
    known = labels.sum(1) > 0
    found: dict[str, Any] = {
        "photos": len(labels), "by eye": int(known[listed].sum()), "by the encoder": int(known[~listed].sum())
    }  # fmt: skip
    targets = store.targets
    if cutouts is not None:
        eye, looked = by_eye.read(cutouts, store.ids)
        better = shop_labels.corrected(
            on_white(clip.visual, store.cutouts, config.encoder.side), store.targets, store.lab, eye, looked,
            fitted=~splits.of_store(out / "store").cutouts,
        )  # fmt: skip
        targets = better.targets
        found |= {
            "shops' photos looked at": better.seen,
            "shops' words right on them": better.shop,
            "learnt words right on them, out of fold": better.learnt,
            "learnt words used": better.used,
        }
    np.save(out / "street" / "targets.npy", targets)
    apart = own.taken_apart(store.street, store.street_aspect, in_front(clip.visual, store.street))
    own.save(apart, out / "street")
    return found | {"street photos whose item was cut out": len(apart.rows)}


@torch.inference_mode()
def in_front(visual: torch.nn.Module, photos: Pixels) -> NDArray[np.float32]:
    """The tower's foreground map, float32 [M, T, T] in 0..1, of uint8 [M, T, T, 3]; zeros for towers that have none."""
    tower: Any = getattr(visual, "trunk", visual)
    found = np.zeros(photos.shape[:3], np.float32)
    if not hasattr(tower, "foreground"):
        return found
    visual.eval()
    for first in range(0, len(photos), 64):
        pixels = normalised(torch.from_numpy(np.array(photos[first : first + 64])), visual)
        coarse = torch.sigmoid(tower.foreground(pixels)[0])
        fine = functional.interpolate(coarse, size=photos.shape[1:3], mode="bilinear", align_corners=False)
        found[first : first + 64] = fine[:, 0].numpy()
    return found


@torch.inference_mode()
def on_white(visual: torch.nn.Module, cutouts: Pixels, side: int) -> NDArray[np.float32]:
    """Normalised embeddings, float32 [N, D], of cut-outs uint8 [N, S, S, 4] on white, at ``side`` pixels."""
    visual.eval()
    rows = []
    for first in range(0, len(cutouts), 64):
        part = np.asarray(cutouts[first : first + 64], np.float32)
        alpha = part[:, :, :, 3:] / 255
        white = torch.from_numpy(part[:, :, :, :3] * alpha + 255 * (1 - alpha)).permute(0, 3, 1, 2)
        small = functional.interpolate(white, size=(side, side), mode="area").permute(0, 2, 3, 1)
        rows.append(functional.normalize(visual(normalised(small.to(torch.uint8), visual)), dim=-1))
    return np.asarray(torch.cat(rows).numpy(), np.float32)


def files(config: Config) -> tuple[Path | None, Path | None]:
    """The lists of labels given by eye, of street photos and of shops' photos: paths, or files beside the settings."""
    return beside_settings(config.pseudo.by_eye), beside_settings(config.pseudo.shops_by_eye)
