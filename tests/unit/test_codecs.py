"""What publishers may compress with can be read."""

from __future__ import annotations

import pytest
from kafka import codec


@pytest.mark.parametrize("name", ["gzip", "snappy", "lz4", "zstd"])
def test_every_codec_of_kafkas_is_there(name: str) -> None:
    """kafka-python needs a library for each but gzip; without it one batch would end every worker that reads it."""
    data = b"colour" * 1000
    assert getattr(codec, f"{name}_decode")(getattr(codec, f"{name}_encode")(data)) == data
