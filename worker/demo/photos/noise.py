"""Periodic noise and the two ways between sRGB and linear light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def vector(values: npt.ArrayLike) -> Array:
    """Numbers as float32."""
    return np.asarray(values, np.float32)


def fractal(
    rng: np.random.Generator, size: int, *, slope: float = 1.0, stretch: tuple[float, float] = (1.0, 1.0)
) -> Array:
    """Noise whose amplitude falls with frequency ** ``slope``; seamless when tiled.

    Parameters:
        size: side, in pixels.
        slope: 0 is white noise, 1 looks like clouds, 2 is very soft.
        stretch: how much longer its forms are, down and across.

    Returns:
        float32 [size, size], mean 0, standard deviation 1.
    """
    down = np.fft.fftfreq(size)[:, None] * size * stretch[0]
    across = np.fft.rfftfreq(size)[None, :] * size * stretch[1]
    frequency = np.hypot(down, across)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) / frequency**slope
    field = np.fft.irfft2(spectrum, s=(size, size))
    return vector((field - field.mean()) / field.std())


def to_linear(srgb: npt.ArrayLike) -> Array:
    """From sRGB in 0..1 to linear light (IEC 61966-2-1)."""
    value = np.asarray(srgb, np.float32)
    return vector(np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4))


def to_srgb(linear: npt.ArrayLike) -> Array:
    """Linear light to sRGB in 0..1; what is brighter than white is rolled off softly first."""
    value = np.clip(np.asarray(linear, np.float32), 0, None)
    value = np.where(value < 0.8, value, 1 - 0.2 * np.exp(-(value - 0.8) / 0.2))
    return vector(np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055))


def colour(code: str) -> Array:
    """``"d7191f"`` to linear RGB, float32 [3]."""
    return to_linear([int(code[place : place + 2], 16) / 255 for place in (0, 2, 4)])
