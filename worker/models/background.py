"""Asking Triton for what may wait: never so much at once that live traffic stands behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.models.client import HEAD_MODEL, Triton
from worker.settings import TritonSettings

_TURNS = 2
"""Requests at once: while one is computed, the next is on its way."""


class BackgroundTriton(Triton):
    """A connection for backfills and shadows.

    A batch that has begun runs to its end, and Triton fills a batch up with whatever is waiting. So an encoder is given
    ``background_rows`` photos or texts of ours at most; a live request waits for those and no more. The head is not
    held back: a thousand rows take it a few milliseconds. Requests also carry priority 2, which lets live ones pass in
    Triton's queue where a model is given priority levels (ours have none: docs/performance.md, "Priorities").
    """

    def __init__(self, settings: TritonSettings) -> None:
        super().__init__(settings)
        self._rows = max(1, settings.background_rows // _TURNS)
        self._turns = asyncio.Semaphore(_TURNS)

    async def _infer(
        self, model: str, version: str, inputs: dict[str, npt.NDArray[Any]], output: str
    ) -> npt.NDArray[np.float32]:
        if model == HEAD_MODEL:
            return await super()._infer(model, version, inputs, output)
        pieces = [
            {name: rows[at : at + self._rows] for name, rows in inputs.items()}
            for at in range(0, len(next(iter(inputs.values()))), self._rows)
        ]
        parts = await asyncio.gather(*(self._in_turn(model, version, piece, output) for piece in pieces))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    async def _in_turn(
        self, model: str, version: str, inputs: dict[str, npt.NDArray[Any]], output: str
    ) -> npt.NDArray[np.float32]:
        async with self._turns:
            return await super()._infer(model, version, inputs, output)
