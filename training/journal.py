"""What a stage shows while it trains: a progress bar, and TensorBoard's files (``tensorboard --logdir runs/model``)."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

EVERY = 20
"""Steps between two looks at the losses."""


class Journal:
    """Of one stage; a context manager.

    Parameters:
        folder: TensorBoard's files go into ``tensorboard/<name>`` beside it, and a resumed run goes on in them.
        name: of the stage.
        first, steps: where it begins and ends.
        speak: false for all processes but the first.
    """

    def __init__(self, folder: Path, name: str, *, first: int, steps: int, speak: bool = True) -> None:
        self._name, self._speak, self._began, self._images = name, speak, time.monotonic(), 0
        # A bar in a log file is a line a redraw: two a minute are enough there.
        every = 0.5 if sys.stderr.isatty() else 30.0
        self._bar: Any = tqdm(initial=first, total=steps, desc=name, mininterval=every, disable=not speak)
        where = folder.parent / "tensorboard" / name
        self._board: Any = SummaryWriter(str(where), purge_step=first) if speak else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._board is not None:
            self._board.close()

    def step(self, number: int, values: Mapping[str, Tensor | float], images: int) -> None:
        """One step is over.

        Parameters:
            number: counted from 1.
            values: losses and whatever else is worth a curve.
            images: of this step, all processes together.
        """
        self._images += images
        self._bar.update()
        if number % EVERY and number != self._bar.total:
            return
        plain = {name: float(torch.as_tensor(value).detach()) for name, value in values.items()}
        plain["images_per_second"] = self._images / (time.monotonic() - self._began)
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in plain.items()}, refresh=False)
        if self._speak:
            for name, value in plain.items():
                self._board.add_scalar(name, value, number)
