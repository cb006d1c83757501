"""ICC profiles made from their definitions, so that no test needs a file from elsewhere (ICC.1:2001-04)."""

from __future__ import annotations

import struct
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_D50 = (0.9642, 1.0, 0.8249)
# Columns: the XYZ of red, green and blue, adapted to D50. Display P3: DCI primaries with D65 white; Adobe RGB (1998).
_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
_ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
_SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
_ADOBE_GAMMA = 563 / 256


def display_p3() -> bytes:
    """The profile that phones write, with sRGB's transfer curve as a table."""
    curve = _srgb_to_linear(np.linspace(0, 1, 1024))
    return _matrix_profile(b"Display P3", _P3, _curve(curve))


def adobe_rgb() -> bytes:
    """The profile that cameras write."""
    return _matrix_profile(b"Adobe RGB (1998)", _ADOBE, _gamma(_ADOBE_GAMMA))


def srgb() -> bytes:
    """sRGB, written by somebody other than LittleCMS."""
    return _matrix_profile(b"sRGB", _SRGB, _curve(_srgb_to_linear(np.linspace(0, 1, 1024))))


def grey_gamma(gamma: float) -> bytes:
    """A grey profile with a power law."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", b"grey", {b"kTRC": _gamma(gamma)})


@cache
def inks() -> bytes:
    """A CMYK profile of the press that ``ink_colour`` describes, as a table of 9 steps an ink."""
    steps = np.linspace(0, 1, 9)
    grid = np.array(list(product(steps, repeat=4)))
    lab = _lab_d50(ink_colour(grid))
    # ICC's 16-bit Lab encoding of version 2: L* 100 at 65280, a* and b* 0 at 32768.
    encoded = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], axis=1)
    table = encoded.round().clip(0, 65535).astype(">u2").tobytes()
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    line = struct.pack(">2H", 0, 65535)
    lut = b"mft2\0\0\0\0" + bytes([4, 3, 9, 0]) + identity + struct.pack(">2H", 2, 2) + line * 4 + table + line * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", b"inks", {b"A2B0": lut})


def ink_colour(cmyk: Floats) -> Floats:
    """The colour, sRGB [..., 3] in 0..1, of inks [..., 4] in 0..1. As on a press, they are not pure CMY."""
    paper = np.array([1.0, 1.0, 1.0])
    solid = np.array([[0.0, 0.62, 0.88], [0.90, 0.10, 0.50], [1.0, 0.93, 0.10], [0.12, 0.11, 0.10]])
    through = [paper + cmyk[..., i, None] * (solid[i] - paper) for i in range(4)]
    return np.asarray(np.prod(through, axis=0))


def to_p3(srgb_colour: Floats) -> Floats:
    """An sRGB colour [3] in 0..1 in Display P3."""
    return _linear_to_srgb(np.linalg.inv(_P3) @ _SRGB @ _srgb_to_linear(srgb_colour))


def to_adobe(srgb_colour: Floats) -> Floats:
    """An sRGB colour [3] in 0..1 in Adobe RGB."""
    linear = np.linalg.inv(_ADOBE) @ _SRGB @ _srgb_to_linear(srgb_colour)
    return np.asarray(linear.clip(0, 1) ** (1 / _ADOBE_GAMMA))


def _srgb_to_linear(value: Floats) -> Floats:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _linear_to_srgb(value: Floats) -> Floats:
    value = value.clip(0, 1)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def _lab_d50(colour: Floats) -> Floats:
    ratio = (_srgb_to_linear(colour) @ _SRGB.T) / np.array(_D50)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _fixed(values: Floats | tuple[float, ...]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def _curve(values: Floats) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + (values * 65535).round().astype(">u2").tobytes()


def _matrix_profile(name: bytes, matrix: Floats, curve: bytes) -> bytes:
    columns = {tag: b"XYZ \0\0\0\0" + _fixed(matrix[:, i]) for i, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    return _profile(b"mntr", b"RGB ", b"XYZ ", name, columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def _profile(kind: bytes, space: bytes, connection: bytes, name: bytes, tags: dict[bytes, bytes]) -> bytes:
    description = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + b"\0" + bytes(78)
    white = b"XYZ \0\0\0\0" + _fixed(_D50)
    tags = {b"desc": description, b"wtpt": white, b"cprt": b"text\0\0\0\0public domain\0"} | tags
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = bytearray(128)
    header[0:4] = struct.pack(">I", start + len(body))
    header[8:12] = b"\x02\x40\0\0"
    header[12:24] = kind + space + connection
    header[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    header[36:40] = b"acsp"
    header[68:80] = _fixed(_D50)
    return bytes(header) + table + body
