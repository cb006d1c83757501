"""Better labels for the second round: of people's own photos, and of the shops' photos."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from training.config import Config
from training.data import by_eye, own, splits
from training.data import store as stores
from training.data.cutouts import Pixels
from training.devices import Device, where
from training.stages import listed, pseudo, shop_labels
from training.stages.embedding import embedded, on_white
from training.stages.encoder import normalised
from training.stages.towers import first_text, with_text
from training.towers.clip import prototypes


def label(config: Config, out: Path, device: Device) -> dict[str, Any]:
    """Label the street photos and the cut-outs, and take the street photos apart, into ``out/street``.

    ``pseudo.npy`` has the labels of the street photos: given ones where there are any (``listed.npy``), else by the
    first round's tower. ``targets.npy`` has those of the cut-outs: by eye where somebody looked, else by what the
    shop's word was found to be worth, see ``shop_labels``. ``own.npz`` has the items of the street photos, cut out
    where the tower is sure of them.

    Returns:
        how many street photos there are and have labels of each kind, and how good the shops' words were found to be.
    """
    clip, tokenizer = with_text(config, out, weights=first_text(out))
    clip.visual.load_state_dict(torch.load(out / "encoder" / "visual.pt", map_location="cpu", weights_only=True))
    clip.visual.to(device.kind)
    labels = pseudo.pseudo_labels(
        clip.visual, prototypes(clip.text, tokenizer, joint=False), out / "store", config.encoder.side,
        keep=config.pseudo.keep, floor=config.pseudo.floor, sharpen=config.pseudo.sharpen,
    )  # fmt: skip
    store = stores.load(out / "store")
    street, cutouts = listed.files(config)
    given, labelled = listed.street(config, out / "store")
    labels[labelled] = given[labelled]
    (out / "street").mkdir(exist_ok=True)
    np.save(out / "street" / "pseudo.npy", labels)
    np.save(out / "street" / "listed.npy", labelled)
    known = labels.sum(1) > 0
    found: dict[str, Any] = {
        "photos": len(labels),
        "labelled by eye or by sellers": int(known[labelled].sum()),
        "labelled by the encoder": int(known[~labelled].sum()),
    }
    if street is not None:
        found |= _readings("street photos", street)
    targets = store.targets
    if cutouts is not None:
        eye, looked = by_eye.read(cutouts, store.ids)
        better = shop_labels.corrected(
            lambda: embedded(clip.visual, on_white(store.cutouts, config.encoder.side)).numpy(),
            store.targets, store.lab, eye, looked, fitted=~splits.of_store(out / "store").cutouts,
        )  # fmt: skip
        targets = better.targets
        shares = {"shops' words right on them": better.shop, "learnt words right on them, out of fold": better.learnt}
        found |= {"shops' photos looked at": better.seen, "learnt words used": better.used}
        found |= {what: share for what, share in shares.items() if not isnan(share)}
        found |= _readings("shops' photos", cutouts)
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
        pixels = normalised(torch.from_numpy(np.array(photos[first : first + 64])).to(where(visual)), visual)
        coarse = torch.sigmoid(tower.foreground(pixels)[0])
        fine = functional.interpolate(coarse, size=photos.shape[1:3], mode="bilinear", align_corners=False)
        found[first : first + 64] = fine[:, 0].cpu().numpy()
    return found


def _readings(photos: str, path: Path) -> dict[str, Any]:
    several, agreed = by_eye.agreement(path)
    return {
        f"{photos} with several readings": several,
        f"{photos}, the same first colour in all of them": round(agreed, 4),
    }


def sellers(out: Path) -> frozenset[str]:
    """Those of whose street photos some had labels of their own, and were learnt from."""
    path = out / "street" / "listed.npy"
    if not path.is_file():
        return frozenset()
    learnt = np.load(path) & ~splits.of_store(out / "store").street
    whose = stores.load(out / "store").street_sellers
    return frozenset(seller for seller, mine in zip(whose, learnt, strict=True) if mine and seller)
