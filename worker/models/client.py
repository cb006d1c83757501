"""Questions to Triton over gRPC: raw binary tensors, pinned versions, and errors sorted by what they mean for us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
import numpy.typing as npt
import tritonclient.grpc.aio as triton
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from worker.errors import ReleaseGone, Unavailable
from worker.settings import TritonSettings

IMAGE_MODEL = "colour_image"
TEXT_MODEL = "colour_text"
HEAD_MODEL = "colour_head"
RELEASE_MODEL = "colour_release"

_MISSING_RETRIES = (0.0, 0.05)
"""Seconds before a request for a missing version is repeated, ahead of reading the active release again."""

_CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own defaults keep a dead connection for minutes and then wait up to two more before dialling again.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A headless service that resolves to several Triton replicas is spread over all of them.
    ("grpc.lb_policy_name", "round_robin"),
]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model accepts: ``max_batch_size`` of its config (0 in the config, no batching, is 1 here)."""

    max_batch: int


class Triton:
    """A connection to one Triton (or to a service in front of several).

    Use it as an asynchronous context manager, within one event loop.
    """

    def __init__(self, settings: TritonSettings) -> None:
        self._settings = settings
        self._credentials = _credentials(settings) if settings.tls else None
        self._client: Any = None
        self._limits: dict[str, Limits] = {}

    async def __aenter__(self) -> Self:
        self._client = triton.InferenceServerClient(self._settings.url, creds=self._credentials, channel_args=_CHANNEL)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.close()

    @property
    def address(self) -> str:
        """``host:port`` of the gRPC endpoint."""
        return self._settings.url

    async def config(self, model: str) -> ModelConfig:
        """The configuration that Triton holds for a model now.

        Raises:
            ReleaseGone: the model is not loaded.
            Unavailable: Triton does not answer.
        """
        response = await self._ask(self._client.get_model_config(model, client_timeout=self._settings.request_timeout))
        config: ModelConfig = response.config
        self._limits[model] = Limits(max(1, config.max_batch_size))
        return config

    async def is_ready(self, model: str, version: str) -> bool:
        """Whether this version of the model answers requests."""
        ready = self._client.is_model_ready(model, version, client_timeout=self._settings.request_timeout)
        return bool(await self._ask(ready))

    async def embed_images(self, version: str, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """``pixels`` uint8 [n, side, side, 3] RGB -> float32 [n, width], L2-normalised.

        Raises:
            ReleaseGone: this version is not served.
            Unavailable: Triton does not answer, or not in time.
        """
        return await self._infer(IMAGE_MODEL, version, {"pixels": pixels}, "embedding")

    async def embed_texts(self, version: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """``n`` texts, sent as UTF-8 -> float32 [n, width], L2-normalised. Raises as ``embed_images``."""
        encoded = np.array([[text.encode()] for text in texts], dtype=np.object_)
        return await self._infer(TEXT_MODEL, version, {"text": encoded}, "embedding")

    async def probabilities(
        self, version: str, images: npt.NDArray[np.float32], texts: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Embeddings float32 [n, width] each (a row of zeros: no text) -> float32 [n, labels], rows sum to 1.

        Raises as ``embed_images``.
        """
        inputs = {"image_embedding": images, "text_embedding": texts}
        return await self._infer(HEAD_MODEL, version, inputs, "probabilities")

    async def _infer(
        self, model: str, version: str, inputs: dict[str, npt.NDArray[Any]], output: str
    ) -> npt.NDArray[np.float32]:
        """Split into requests of what the model takes at once, all in flight together."""
        if model not in self._limits:
            await self.config(model)
        size = self._limits[model].max_batch
        rows = len(next(iter(inputs.values())))
        parts = await asyncio.gather(
            *(
                self._infer_once(
                    model, version, {name: rows_[at : at + size] for name, rows_ in inputs.items()}, output
                )
                for at in range(0, rows, size)
            )
        )
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    async def _infer_once(
        self, model: str, version: str, inputs: dict[str, npt.NDArray[Any]], output: str
    ) -> npt.NDArray[np.float32]:
        tensors = []
        for name, rows in inputs.items():
            tensor = triton.InferInput(name, list(rows.shape), np_to_triton_dtype(rows.dtype))
            tensor.set_data_from_numpy(rows)
            tensors.append(tensor)
        result = await self._ask_replicas(
            lambda: self._client.infer(
                model,
                tensors,
                model_version=version,
                outputs=[triton.InferRequestedOutput(output)],
                priority=self._settings.priority,
                client_timeout=self._settings.request_timeout,
            )
        )
        answer: npt.NDArray[np.float32] = result.as_numpy(output)
        rows_in, rows_out = len(next(iter(inputs.values()))), len(answer)
        if rows_in != rows_out:
            raise Unavailable("triton", f"{model} {version} answered {rows_out} rows to a question of {rows_in}")
        return answer

    async def _ask_replicas(self, call: Callable[[], Any]) -> Any:
        """Ask again where a version is missing: the next request goes to another replica, which may have it already."""
        for delay in _MISSING_RETRIES:
            try:
                return await self._ask(call())
            except ReleaseGone:
                await asyncio.sleep(delay)
        return await self._ask(call())

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except InferenceServerException as error:
            status, message = str(error.status()), str(error.message())[:300]
            if status in ("StatusCode.NOT_FOUND", "StatusCode.UNAVAILABLE"):
                raise ReleaseGone(message) from None
            raise Unavailable("triton", f"{status.removeprefix('StatusCode.')}: {message}") from None


def _credentials(settings: TritonSettings) -> grpc.ChannelCredentials:
    files = (settings.ca_file, settings.key_file, settings.certificate_file)
    return grpc.ssl_channel_credentials(*(Path(name).read_bytes() if name else None for name in files))
