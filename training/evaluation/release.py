"""The active release of a model repository, run by onnxruntime alone: what is measured is what is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from training.serving.repository import HEAD, IMAGE, RELEASE, TEXT, read_config
from worker.colours import Colour
from worker.models.releases import Release

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_BATCH = 64


@dataclass(frozen=True)
class Served:
    """A release and its three graphs.

    Parameters:
        release: as the worker reads it.
        image, text, head: onnxruntime sessions.
        tokenizer: of the text encoder.
    """

    release: Release
    image: Any
    text: Any
    head: Any
    tokenizer: Tokenizer

    @property
    def labels(self) -> tuple[Colour, ...]:
        """Colours in output order."""
        return self.release.head.labels

    def embed_pictures(self, pixels: Pixels) -> Floats:
        """Uint8 [n, side, side, 3] to float32 [n, width], rounded to half precision as the worker's cache does."""
        rows = [
            self.image.run(["embedding"], {"pixels": pixels[at : at + _BATCH]})[0]
            for at in range(0, len(pixels), _BATCH)
        ]
        return _half(np.concatenate(rows))

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """Titles to float32 [n, width]; an empty title is a row of zeros, which the head reads as "no text"."""
        ids = np.array([tokens.ids for tokens in self.tokenizer.encode_batch(list(texts))], np.int64)
        name = self.text.get_inputs()[0].name
        rows = [self.text.run(["embedding"], {name: ids[at : at + _BATCH]})[0] for at in range(0, len(ids), _BATCH)]
        there = np.array([bool(text.strip()) for text in texts])
        return _half(np.concatenate(rows)) * there[:, None].astype(np.float32)

    def probabilities(self, images: Floats, texts: Floats | None = None) -> Floats:
        """Float32 [n, 18], rows sum to 1; without texts from the pictures alone."""
        texts = np.zeros_like(images) if texts is None else texts
        inputs = {"image_embedding": images, "text_embedding": texts}
        found: Floats = self.head.run(["probabilities"], inputs)[0]
        return found


def load(repository: Path) -> Served:
    """Open the release that ``release/active`` names.

    Raises:
        ConfigurationError: the configurations do not describe one.
        FileNotFoundError: a file of a version is missing.
    """
    release = Release.from_configs(*(read_config(repository, model) for model in (IMAGE, TEXT, HEAD, RELEASE)))
    folders = {
        IMAGE: repository / IMAGE / release.image.version,
        TEXT: repository / TEXT / release.text.version,
        HEAD: repository / HEAD / release.head.version,
    }
    missing = [str(path / "model.onnx") for path in folders.values() if not (path / "model.onnx").is_file()]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)}: not there; export the model first")
    sessions = {
        model: onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
        for model, folder in folders.items()
    }
    tokenizer = Tokenizer.from_file(str(folders[TEXT] / "tokenizer.json"))
    return Served(release, sessions[IMAGE], sessions[TEXT], sessions[HEAD], tokenizer)


def _half(rows: Floats) -> Floats:
    return rows.astype(np.float16).astype(np.float32)
