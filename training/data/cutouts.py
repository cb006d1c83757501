"""Cut an item out of a photo taken on a white background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

WHITE_FLOOR = 243
"""A studio's background stays above this in all three channels after JPEG at the sizes seen here."""


def foreground(rgb: Pixels) -> Pixels:
    """The item's mask, uint8 [H, W] in {0, 255}: what cannot be reached from the border over white pixels."""
    height, width = rgb.shape[:2]
    white = (rgb.min(axis=2) >= WHITE_FLOOR).astype(np.uint8)
    framed = cv2.copyMakeBorder(white, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(framed, None, (0, 0), 2)
    mask = np.where(framed[1 : height + 1, 1 : width + 1] == 2, 0, 255).astype(np.uint8)
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.uint8)


def cut_out(rgb: Pixels, side: int) -> Pixels | None:
    """The item alone, fitted and centred into a square.

    Parameters:
        rgb: uint8 [H, W, 3], sRGB.
        side: edge of the result.

    Returns:
        uint8 [side, side, 4], alpha feathered by about one pixel; None where no plausible item was found (the photo is
        not on white, or is empty).
    """
    mask = foreground(rgb)
    share = float((mask > 0).mean())
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if not 0.02 < share < 0.93 or float((border > 0).mean()) > 0.45:
        return None
    return squared(rgb, mask, side)


def squared(rgb: Pixels, mask: Pixels, side: int) -> Pixels:
    """What a mask shows, centred and as large as a square allows.

    Parameters:
        rgb: uint8 [H, W, 3].
        mask: uint8 [H, W] of 0 and 255, not empty.
        side: edge of the result.

    Returns:
        uint8 [side, side, 4], alpha feathered by about one pixel.
    """
    ys, xs = np.nonzero(mask)
    box = np.s_[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    item, alpha = rgb[box], mask[box]
    scale = side / max(item.shape[:2])
    size = (max(1, round(item.shape[1] * scale)), max(1, round(item.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    item = np.asarray(cv2.resize(item, size, interpolation=method), np.uint8)
    larger = cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR)
    alpha = np.asarray(cv2.GaussianBlur(larger, (3, 3), 0), np.uint8)
    out = np.zeros((side, side, 4), np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    out[top : top + size[1], left : left + size[0], :3] = item
    out[top : top + size[1], left : left + size[0], 3] = alpha
    return out


def lab_statistics(rgba: Pixels) -> NDArray[np.float32]:
    """Median L, a, b and their spread over the item: float32 [6], CIELAB (L 0..100)."""
    inside = cv2.erode(rgba[:, :, 3], np.ones((5, 5), np.uint8)) > 200
    if inside.sum() < 30:
        inside = rgba[:, :, 3] > 128
    if not inside.any():
        return np.zeros(6, np.float32)
    lab = cv2.cvtColor(rgba[:, :, :3].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[inside]
    return np.concatenate([np.median(lab, axis=0), lab.std(axis=0)]).astype(np.float32)
