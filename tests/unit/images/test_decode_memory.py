"""The estimate of memory, on which the bound over all threads rests, is not below what decoding really takes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.unit.images.measuring import costs
from tests.unit.images.pictures import encode
from worker.images import DecodeLimits
from worker.images.header import memory_needed

SIDE = 1600
ROOMY = DecodeLimits(max_bytes=1 << 30, max_memory=1 << 40)


def _made() -> dict[str, tuple[str, Image.Image, dict[str, Any]]]:
    ramp = np.add.outer(np.arange(SIDE), np.arange(SIDE)) % 256
    grey = Image.fromarray(ramp.astype(np.uint8))
    palette = grey.convert("RGB").quantize(64)
    return {
        "JPEG": ("JPEG", grey.convert("RGB"), {}),
        "progressive JPEG": ("JPEG", grey.convert("RGB"), {"progressive": True}),
        "CMYK JPEG": ("JPEG", grey.convert("CMYK"), {}),
        "PNG": ("PNG", grey.convert("RGB"), {}),
        "PNG with alpha": ("PNG", grey.convert("RGBA"), {}),
        "PNG of grey and alpha": ("PNG", grey.convert("LA"), {}),
        "PNG with a palette": ("PNG", palette, {"transparency": 0}),
        "16-bit PNG": ("PNG", Image.fromarray((ramp * 257).astype(np.uint16)), {"transparency": 0}),
        "GIF": ("GIF", palette, {"transparency": 0}),
        "WebP": ("WEBP", grey.convert("RGB"), {"method": 0}),
        "WebP with alpha": ("WEBP", grey.convert("RGBA"), {"method": 0}),
        "AVIF": ("AVIF", grey.convert("RGB"), {"speed": 10, "subsampling": "4:4:4"}),
        "BMP": ("BMP", grey.convert("RGB"), {}),
        "TIFF with alpha": ("TIFF", grey.convert("RGBA"), {}),
        "16-bit TIFF": ("TIFF", Image.fromarray((ramp * 257).astype(np.uint16)), {}),
        "CMYK TIFF": ("TIFF", grey.convert("CMYK"), {}),
    }


def test_no_file_takes_more_memory_than_estimated() -> None:
    files = {name: encode(image, kind, **options) for name, (kind, image, options) in _made().items()}
    for name, cost in costs(files, ROOMY).items():
        with Image.open(io.BytesIO(files[name])) as image:
            full = image.size
            image.draft(None, (448, 448))
            estimate = memory_needed(image, full, files[name], ROOMY)
        # A few MB belong to no picture: code and tables that a codec loads when it is first used.
        assert cost.outcome == "pixels", name
        assert cost.peak <= estimate + (6 << 20), f"{name}: {cost.peak >> 20} MiB, estimated {estimate >> 20}"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP"])
def test_a_picture_that_alone_needs_more_than_all_may_is_refused(kind: str) -> None:
    image = Image.new("RGB", (1000, 1000))
    cost = costs({kind: encode(image, kind)}, DecodeLimits(max_memory=4_000_000))[kind]
    assert cost.outcome == "decompression_bomb"
    assert cost.peak < 8 << 20
