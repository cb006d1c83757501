"""Photos of a fixed size in bytes, as phones send them: 1024 x 768 pixels, about 100 kB of JPEG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

KILOBYTES = 100
SIZE = (1024, 768)


def make(folder: Path, count: int) -> list[str]:
    """Write ``count`` photos into ``folder``; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"bench-{number:03d}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(photo(number))
    return names


def photo(seed: int) -> bytes:
    """One photo: soft shapes, and as much grain as makes it ``KILOBYTES`` large within a tenth."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize(SIZE, Image.Resampling.BICUBIC), dtype=np.float32)
    noise = random.normal(0, 1, (SIZE[1], SIZE[0], 1)).astype(np.float32)
    low, high, data = 0.0, 40.0, b""
    for _ in range(10):
        grain = (low + high) / 2
        data = _jpeg(soft + grain * noise)
        if abs(len(data) - KILOBYTES * 1000) <= KILOBYTES * 100:
            break
        low, high = (grain, high) if len(data) < KILOBYTES * 1000 else (low, grain)
    return data


def _jpeg(pixels: np.typing.NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
