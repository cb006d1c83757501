"""Light and camera: illuminant, exposure, contrast, shadow, blur, noise, JPEG. Hue is moved by the light only.

What acts on each channel by itself is folded into one look-up table a picture: at 96 px, tables are ten times as fast
as floating-point powers.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.data.cutouts import Pixels

_REACTION = 0.3
"""How far a white balance goes at most, in logarithms; a choice, not a measurement."""
_LEVELS = np.linspace(0, 1, 256, dtype=np.float32)


def illuminant(rng: Generator, strength: float = 1.0) -> NDArray[np.float32]:
    """Gains of the channels (gamma-encoded RGB), float32 [3]: the daylight-tungsten axis, a little green-magenta.

    Parameters:
        strength: 1 is a phone's usual error of white balance and exposure.
    """
    warmth, tint = rng.normal(0.03, 0.07) * strength, rng.normal(0, 0.025) * strength
    gain = np.exp(np.array([warmth, tint, -warmth * 1.2]))
    return np.asarray(gain * np.exp(rng.normal(-0.03, 0.16) * strength) / gain.mean(), np.float32)


def automatic(pixels: Pixels, rng: Generator) -> NDArray[np.float32]:
    """Gains of a phone's automatic white balance, float32 [3]: part of the way to a grey mean of the scene.

    So a red rug makes all that lies on it cooler, which no light does: a tower that knows lights alone takes the grey
    shirt there for a light blue one.

    Parameters:
        pixels: uint8 [H, W, 3].
    """
    mean = np.maximum(pixels.reshape(-1, 3).mean(0), 8.0)
    return np.asarray((mean.mean() / mean) ** rng.uniform(0, _REACTION), np.float32)


def tone(gain: NDArray[np.float32], rng: Generator) -> Pixels:
    """A look-up table uint8 [256, 3]: illuminant, tone curve, contrast and black level in one."""
    curve = np.clip(_LEVELS[:, None] * gain, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.15)))
    curve = (curve - 0.5) * np.float32(rng.uniform(0.82, 1.15)) + np.float32(0.5 + rng.normal(0, 0.02))
    return np.asarray(np.clip(curve, 0, 1) * 255, np.uint8)


@cache
def _grid(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    return xs / width - 0.5, ys / height - 0.5


def fall_off(width: int, height: int, rng: Generator) -> NDArray[np.float32]:
    """A linear fall-off of light across the photo, as from a window or a lamp: float32 [H, W, 1], at most 1."""
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.4)
    xs, ys = _grid(width, height)
    ramp = np.float32(np.cos(angle)) * xs + np.float32(np.sin(angle)) * ys + np.float32(0.5)
    return (1 - np.float32(depth) * np.clip(ramp, 0, 1))[:, :, None]


@cache
def _noise() -> NDArray[np.int8]:
    return (np.random.default_rng(0).standard_normal((512, 512, 3)) * 30).clip(-127, 127).astype(np.int8)


def camera(pixels: Pixels, gain: NDArray[np.float32], rng: Generator) -> Pixels:
    """Tone, the saturation of the phone's processing, blur, noise and JPEG: uint8 [H, W, 3] to the same."""
    height, width = pixels.shape[:2]
    out = cv2.LUT(np.ascontiguousarray(pixels), tone(gain, rng)[None])
    saturation = float(rng.uniform(0.78, 1.2))
    grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    out = cv2.addWeighted(out, saturation, grey, 1 - saturation, 0)
    if rng.random() < 0.3:
        out = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.0)))
    if rng.random() < 0.4:
        top, left = rng.integers(0, 512 - max(height, width), 2)
        noise = _noise()[top : top + height, left : left + width].astype(np.int16)
        out = np.clip(out + noise // int(rng.integers(5, 25)), 0, 255).astype(np.uint8)
    if rng.random() < 0.35:
        _, coded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 90))])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(out, np.uint8)
