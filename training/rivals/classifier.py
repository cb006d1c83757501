"""Train a small timm network to name the colour of a picture, as anybody would; resumes after a kill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.data import store as stores
from training.data.cutouts import Pixels
from training.data.labels import LABELS
from training.devices import Device, save
from training.evaluation.measures import Floats, reorder
from training.journal import Journal
from training.rivals.pictures import Kind, to_ask, to_train
from training.stages.encoder import normalised
from worker.colours import Colour


@dataclass(frozen=True, kw_only=True)
class RivalSettings:
    """What both rivals are trained with.

    Parameters:
        network: any of timm's.
        steps: of ``batch`` pictures.
        balance: 0 draws colours as often as the shops have them, 1 equally often.
    """

    network: str = "mobilenetv3_small_100"
    steps: int = 600
    batch: int = 64
    side: int = 96
    rate: float = 3e-3
    smoothing: float = 0.1
    balance: float = 0.5
    seed: int = 0
    save_every: int = 50


def build(network: str) -> Any:
    """The network from nothing, with one output a label."""
    return timm.create_model(network, num_classes=len(LABELS))


def train(
    kind: Kind, store: Path, folder: Path, settings: RivalSettings, *, targets: NDArray[np.float32], device: Device
) -> None:
    """Train one rival and write ``<kind>.pt``; a run that was killed goes on from ``<kind>-state.pt``.

    Parameters:
        targets: float32 [N, 18], rows of zeros for cut-outs that are not drawn; the largest share is the label.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    model = build(settings.network).to(device.kind, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, settings.steps, pct_start=0.1)
    first, kept = 0, folder / f"{kind}-state.pt"
    if kept.is_file():
        state = torch.load(kept, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        first = state["step"]
    stream = batches(kind, stores.load(store).cutouts, targets, settings, first)
    model.train()
    with Journal(folder, f"rival-{kind}", first=first, steps=settings.steps) as journal:
        for step in range(first, settings.steps):
            torch.manual_seed(settings.seed * 1_000_003 + step)
            pixels, label = (part.to(device.kind) for part in next(stream))
            with device.autocast():
                logits = model(normalised(pixels))
            loss = functional.cross_entropy(logits.float(), label, label_smoothing=settings.smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            right = (logits.argmax(1) == label).float().mean()
            journal.step(step + 1, {"loss": loss, "right": right}, settings.batch)
            if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
                state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1}
                save(state | {"schedule": schedule.state_dict()}, kept)
    about = {"network": settings.network, "side": settings.side, "model": model.cpu().state_dict()}
    save(about, folder / f"{kind}.pt")


def batches(
    kind: Kind, cutouts: Pixels, targets: NDArray[np.float32], settings: RivalSettings, first: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures uint8 [B, side, side, 3] and labels int64 [B], for ever; seed and number decide the whole batch."""
    cv2.setNumThreads(0)
    label, known = targets.argmax(1), targets.sum(1) > 0
    count = np.bincount(label[known], minlength=len(LABELS)).clip(1)
    chance = count[label] ** -settings.balance * known
    ladder = np.cumsum(chance / chance.sum())
    number = first
    while True:
        rng = np.random.default_rng((settings.seed, number))
        number += 1
        rows = np.minimum(np.searchsorted(ladder, rng.random(settings.batch)), len(label) - 1)
        pictures = np.stack([to_train(kind, np.asarray(cutouts[row]), settings.side, rng) for row in rows])
        yield torch.from_numpy(pictures), torch.from_numpy(label[rows])


class Rival:
    """A trained rival, to be asked.

    Parameters:
        folder: where ``train`` left it.
        kind: which of them.
    """

    def __init__(self, folder: Path, kind: Kind) -> None:
        about = torch.load(folder / f"{kind}.pt", weights_only=True)
        self.kind, self.side, self.network = kind, int(about["side"]), str(about["network"])
        self._model = build(self.network)
        self._model.load_state_dict(about["model"])
        self._model.eval()

    @torch.inference_mode()
    def classify(self, photos: Pixels) -> Floats:
        """Probabilities float32 [n, 18] in the order of ``Colour`` of decoded photos uint8 [n, side, side, 3]."""
        rows = []
        for at in range(0, len(photos), 64):
            seen = np.stack([to_ask(self.kind, photo) for photo in photos[at : at + 64]])
            rows.append(self._model(normalised(torch.from_numpy(seen))).softmax(1).numpy())
        return reorder(np.concatenate(rows), [Colour(label) for label in LABELS])
