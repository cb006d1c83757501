"""What photos as they are know beyond the prototypes: a small network whose answer is added to the image branch's.

The towers learn from composed pictures and answer by cosines to the colours' prototypes. Here they are frozen, and the
photos with labels are embedded as they will be served: shops' items on white, people's photos whole and mirrored. A
network on top of the embedding learns what to add to the logits. On such photos alone it would forget unusual things,
of which they show none: painted and made ones are embedded too, and their answers are held where they were.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from training.data import splits, things
from training.data import store as stores
from training.data.cutouts import Pixels
from training.data.loader import Mix, Pictures
from training.devices import save
from training.runs import sha256
from training.stages.embedding import composed, embedded, on_white, street_photos
from training.stages.noise import cross_entropy
from training.towers.head import ColourHead

UNUSUAL = Mix(painted=0.35, patterned=0.05, made=0.6)
"""Pictures whose answers are held: nothing in them has its own colour."""

_BALANCE = 0.5
"""Photos are drawn by how rare their colour is, to this power: 0 as often as they are, 1 every colour equally often."""


@dataclass(frozen=True, kw_only=True)
class CorrectionSettings:
    """How the correction is learnt.

    Parameters:
        steps: 0 leaves the prototypes as they are.
        batch: of photos and held pictures together.
        shops, street: shares of both kinds of photos in a batch; the rest are the pictures whose answers are held.
        pictures: how many of these are composed.
        hold: weight of their Kullback-Leibler divergence from the prototypes' answers, beside the photos'
            cross-entropy. At 1 and less, answers followed paint less often.
    """

    steps: int = 3000
    batch: int = 384
    rate: float = 1e-3
    weight_decay: float = 0.1
    shops: float = 0.4
    street: float = 0.2
    pictures: int = 7680
    hold: float = 5.0


class Seen(NamedTuple):
    """Photos of one kind: embeddings, float32 [n, D], and labels, float32 [n, 18]."""

    z: Tensor
    target: Tensor


class Photos(NamedTuple):
    """Labelled photos as they are served: those that are learnt from, and those of held-out items and sellers."""

    shops: Seen
    street: Seen
    held_shops: Seen
    held_street: Seen


def learn(
    head: ColourHead,
    visual: torch.nn.Module,
    store: Path,
    folder: Path,
    settings: CorrectionSettings,
    *,
    side: int,
    targets: NDArray[np.float32],
    given: NDArray[np.float32] | None,
    seed: int,
    workers: int,
) -> dict[str, float]:
    """Embed photos and unusual pictures, and train the head's correction; returns what ``fit`` does.

    Parameters:
        visual: its weights are in ``visual.pt`` in ``folder``, where the embeddings are kept too.
        store: the folder.
        side: of the pictures.
        targets, given: see ``photos``.
        seed: of pictures, batches and network.
        workers: processes that compose pictures.
    """
    if not settings.steps:
        return {}
    seen = photos(visual, store, folder / "embeddings-photos.pt", side=side, targets=targets, given=given)
    free = targets * ~splits.of_store(store).cutouts[:, None]
    pictures = Pictures(store, side, 64, mix=UNUSUAL, seed=seed + 15_485_863, targets=free)
    key = " ".join(
        [sha256(folder / "visual.pt"), sha256(things.FOLDER), _digest(free), str(UNUSUAL), str(pictures.seed)]
    )
    unusual, _ = composed(
        visual, pictures, settings.pictures, cache=folder / "embeddings-unusual.pt", key=key, workers=workers
    )
    return fit(head, seen, unusual, settings, seed)


def photos(
    visual: torch.nn.Module,
    folder: Path,
    cache: Path,
    *,
    side: int,
    targets: NDArray[np.float32],
    given: NDArray[np.float32] | None,
) -> Photos:
    """Embed all labelled photos; what ``cache`` holds is used if it was made of the same photos by the same tower.

    Parameters:
        visual: its weights are in ``visual.pt`` beside ``cache``.
        folder: of the store.
        side: of the pictures.
        targets: labels of the cut-outs, float32 [N, 18]; rows of zeros are not used.
        given: labels of the street photos, given by eye or by sellers, float32 [M, 18]; None for none.
    """
    store, split = stores.load(folder), splits.of_store(folder)
    given = np.zeros_like(store.street_targets) if given is None else given
    key = " ".join([sha256(cache.with_name("visual.pt")), _digest(targets, given), str(side)])
    if cache.is_file() and (kept := torch.load(cache, weights_only=True))["key"] == key:
        return Photos(*(Seen(*pair) for pair in kept["photos"]))
    found = []
    for held in (False, True):
        shops = np.nonzero(targets.any(1) & (split.cutouts == held))[0]
        street = np.nonzero(given.any(1) & (split.street == held))[0]
        label = torch.from_numpy(given[street])
        whole = Seen(_embedded(visual, street_photos(store, street, side)), label)
        if not held:
            mirrored = _embedded(visual, (np.ascontiguousarray(p[:, ::-1]) for p in street_photos(store, street, side)))
            whole = Seen(torch.cat([whole.z, mirrored]), torch.cat([label, label]))
        alone = (store.cutouts[row] for row in shops)
        found += [Seen(_embedded(visual, on_white(alone, side)), torch.from_numpy(targets[shops])), whole]
    save({"key": key, "photos": [tuple(each) for each in found]}, cache)
    return Photos(*found)


def fit(head: ColourHead, seen: Photos, unusual: Tensor, settings: CorrectionSettings, seed: int) -> dict[str, float]:
    """Train ``head.correction`` and freeze it; where it is no better on held-out photos it is taken back.

    Parameters:
        head: answers as the prototypes do; where ``unusual`` lies it goes on doing so.
        seen: labelled photos.
        unusual: embeddings of pictures whose answers are held, float32 [n, D].
        seed: of batches and network.

    Returns:
        mean cross-entropy and accuracy on held-out photos of each kind, before and after.
    """
    shares = ((seen.shops, settings.shops), (seen.street, settings.street))
    kinds = [(kind, round(settings.batch * share)) for kind, share in shares if len(kind.z)]
    if not kinds:
        return {}
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    chances = [_chances(kind.target) for kind, _ in kinds]
    before = _judged(head, seen)
    network = head.correction.requires_grad_(True).train()
    first = copy.deepcopy(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, settings.steps)
    for _ in tqdm(range(settings.steps), desc="correction", mininterval=10):
        loss = torch.zeros(())
        for (kind, count), chance in zip(kinds, chances, strict=True):
            rows = torch.multinomial(chance, count, replacement=True, generator=generator)
            loss = loss + count * cross_entropy(head.seen(kind.z[rows]), kind.target[rows])
        count = max(1, settings.batch - sum(each for _, each in kinds))
        held = unusual[torch.randint(len(unusual), (count,), generator=generator)]
        wanted = head.shortcut(held).log_softmax(1)
        moved = functional.kl_div(head.seen(held).log_softmax(1), wanted, log_target=True, reduction="batchmean")
        loss = (loss + count * settings.hold * moved) / settings.batch
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    network.requires_grad_(False).eval()
    after = _judged(head, seen)
    if before and sum(after[name][0] for name in after) >= sum(before[name][0] for name in before):
        network.load_state_dict(first)
        after = before
    return {
        f"{name}, {what} {when}": round(judged[name][number], 4)
        for name in before
        for number, what in enumerate(("cross-entropy", "accuracy"))
        for when, judged in (("before the correction", before), ("after", after))
    }


@torch.inference_mode()
def _judged(head: ColourHead, seen: Photos) -> dict[str, tuple[float, float]]:
    """Cross-entropy and accuracy of the held-out photos of each kind that there are."""
    found = {}
    for name, kind in (("held-out shops' photos", seen.held_shops), ("held-out street photos", seen.held_street)):
        if len(kind.z):
            answers = head.seen(kind.z)
            right = answers.argmax(1) == kind.target.argmax(1)
            found[name] = (float(cross_entropy(answers, kind.target)), float(right.float().mean()))
    return found


def _digest(*arrays: NDArray[np.float32]) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def _chances(target: Tensor) -> Tensor:
    """How readily each photo is drawn, float32 [n]."""
    main = target.argmax(1)
    return main.bincount(minlength=target.shape[1])[main].float() ** -_BALANCE


def _embedded(visual: torch.nn.Module, pictures: Iterator[Pixels]) -> Tensor:
    """Embeddings as the worker's cache rounds them, float32 [n, D]; [0, 0] of no pictures."""
    first = next(pictures, None)
    return torch.zeros(0, 0) if first is None else embedded(visual, chain([first], pictures)).half().float()
