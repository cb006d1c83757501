"""What a file is that we do not read as a picture, in one of a few fixed words: a message never quotes a stranger."""

from __future__ import annotations

import codecs
import string

_SIGNATURES = (
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\1\0", "an icon"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)
"""First bytes, as registered or as ``file(1)`` knows them."""

_BRANDS = ((b"hei", "HEIC"), (b"hev", "HEIC"), (b"", "a video"))
"""Of an ISO base media file (ISO/IEC 14496-12), behind its ``ftyp``."""

_MARKUP = (("<svg", "an SVG"), ("<!doctype html", "a web page"), ("<html", "a web page"), ("<", "XML"), ("{", "JSON"))

_SEEN = 512
_PRINTABLE = frozenset(string.printable)


def kind(data: bytes) -> str:
    """What the file seems to be: ``a PDF``, ``HEIC``, ``a web page``, ``text``, ``unknown data``, and so on.

    Only its first 512 bytes are looked at, and none of them stands in the answer.
    """
    if not data:
        return "nothing (0 bytes)"
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[4:8] == b"ftyp":
        return next(name for brand, name in _BRANDS if data[8:].startswith(brand))
    return _text(data[:_SEEN]) or "unknown data"


def _text(data: bytes) -> str | None:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data)  # which may end in the midst of a character
    except UnicodeDecodeError:
        return None
    if any(character < "\x80" and character not in _PRINTABLE for character in text):
        return None
    start = text.lstrip().lower()
    if start.startswith("<?xml") and "<svg" in start:
        return "an SVG"
    return next((name for opening, name in _MARKUP if start.startswith(opening)), "text")
