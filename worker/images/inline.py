"""Photos that come inside the event, as base64."""

from __future__ import annotations

import base64
import binascii

from worker.errors import Reason, Rejected


def decode_inline(data: str, limit: int) -> bytes:
    """Decode strict base64 (RFC 4648 section 4: padded, no line breaks, no ``data:`` prefix).

    Parameters:
        data: the text.
        limit: bytes of the result, at most; judged by the length of ``data`` before anything is decoded.

    Raises:
        Rejected: ``photo_too_large``, or ``invalid_event`` if it is not base64 or holds nothing.
    """
    size = len(data) // 4 * 3 - data[-2:].count("=")
    if size > limit:
        raise Rejected(Reason.PHOTO_TOO_LARGE, f"an inline photo of {size} bytes is larger than {limit}")
    if data.endswith("==="):
        # Python takes any number of padding characters.
        raise Rejected(Reason.INVALID_EVENT, "an inline photo is not base64: excess padding")
    try:
        photo = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Rejected(Reason.INVALID_EVENT, f"an inline photo is not base64: {error}") from None
    if not photo:
        raise Rejected(Reason.INVALID_EVENT, "an inline photo is empty")
    return photo
