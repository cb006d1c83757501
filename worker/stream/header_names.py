"""Header names that are not UTF-8: Kafka stores them, C clients may write them, and kafka-python 3.0.12 reads none.

It raises ``UnicodeDecodeError`` from ``poll``, again after every restart, and the whole partition stands behind that
one record. Here a byte that is no UTF-8 is read as four characters, such as a backslash and ``xe9``, and written on so.
"""

from __future__ import annotations

from typing import Any

from kafka.record.default_records import DefaultRecordBatch

_strict = DefaultRecordBatch._read_msg  # noqa: SLF001 - there is no public way to read headers otherwise


class _Name(bytes):
    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class _Buffer(bytes):
    """Of one batch: kafka-python copies keys and values as plain bytes, and decodes names as it cuts them out."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Name(found) if isinstance(at, slice) else found


def _read(batch: Any, *arguments: Any) -> Any:
    try:
        return _strict(batch, *arguments)
    except UnicodeDecodeError:
        batch._buffer = _Buffer(batch._buffer)  # noqa: SLF001
        return _strict(batch, *arguments)


def install() -> None:
    """Let every consumer of this process read them."""
    DefaultRecordBatch._read_msg = _read  # noqa: SLF001
