"""The image encoder in int8, for CPUs: static quantisation by onnxruntime, kept only where it costs next to nothing.

Ranges are taken from pictures of the training items, points and speed from pictures of held-out items. The graph's own
first steps (uint8 to float) and its softmax stay in float; convolutions and matrix products become int8.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from training.data.cutouts import Pixels

ALLOWED = 0.005
"""Accuracy that int8 may cost."""
_BATCH = 32


@dataclass(frozen=True)
class Quantised:
    """What int8 costs and brings.

    Parameters:
        accuracy: of the float and of the int8 graph, on held-out pictures.
        speed: likewise, images a second on this machine's CPU.
        size: likewise, bytes of the graph.
        kept: whether the int8 graph took the float one's place.
    """

    accuracy: tuple[float, float]
    speed: tuple[float, float]
    size: tuple[int, int]
    kept: bool

    def __str__(self) -> str:
        cost = 100 * (self.accuracy[0] - self.accuracy[1])
        return (
            f"int8 {'kept' if self.kept else 'not kept'}: costs {cost:+.2f} points ({self.accuracy[0]:.1%} to "
            f"{self.accuracy[1]:.1%}), {self.speed[0]:.0f} to {self.speed[1]:.0f} images/s, "
            f"{self.size[0] / 1e6:.1f} to {self.size[1] / 1e6:.1f} MB"
        )


def quantise(
    image: Path, head: Path, *, calibration: Pixels, pictures: Pixels, truth: NDArray[np.int64]
) -> Quantised:  # fmt: skip
    """Quantise ``image`` in its place if that costs less than ``ALLOWED`` and is faster.

    Parameters:
        image, head: the exported graphs.
        calibration: uint8 [n, side, side, 3], of the kind that the encoder will see.
        pictures, truth: uint8 [m, side, side, 3] and the numbers of their labels in the head's order, int64 [m].
    """
    small = image.with_name("int8.onnx")
    prepared = image.with_name("prepared.onnx")
    quant_pre_process(str(image), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared), str(small), _Reader(calibration), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=["Conv", "Gemm", "MatMul"],
    )  # fmt: skip
    prepared.unlink()
    sizes = (image.stat().st_size, small.stat().st_size)
    (before, fast), (after, faster) = (_measure(graph, head, pictures, truth) for graph in (image, small))
    kept = before - after < ALLOWED and faster > fast
    if kept:
        small.replace(image)
    else:
        small.unlink()
    return Quantised((before, after), (fast, faster), sizes, kept)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pictures: Pixels) -> None:
        self._batches: Iterator[Pixels] = iter(np.array_split(pictures, max(1, len(pictures) // _BATCH)))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"pixels": batch}


def _measure(image: Path, head: Path, pictures: Pixels, truth: NDArray[np.int64]) -> tuple[float, float]:
    """Accuracy and images a second of the encoder."""
    encoder, classifier = (
        onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"]) for graph in (image, head)
    )
    encoder.run(None, {"pixels": pictures[:_BATCH]})
    began = time.perf_counter()
    rows = [encoder.run(None, {"pixels": pictures[at : at + _BATCH]})[0] for at in range(0, len(pictures), _BATCH)]
    speed = len(pictures) / (time.perf_counter() - began)
    z = np.concatenate(rows)
    answers = classifier.run(None, {"image_embedding": z, "text_embedding": np.zeros_like(z)})[0]
    return float((answers.argmax(1) == truth).mean()), speed
