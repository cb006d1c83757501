"""Header names that are not UTF-8, in batches as Kafka stores them."""

from __future__ import annotations

import pytest
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

import worker.stream  # noqa: F401  what is tested is what importing it does to kafka-python
from tests.support.latin1 import Latin1


@pytest.mark.parametrize("codec", [0, 1], ids=["plain", "gzip"])
def test_only_the_name_is_escaped_and_the_records_around_it_are_read_as_ever(codec: int) -> None:
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=1000)
    names = ["цвет", Latin1("cl\xe9"), "trace"]
    for name in names:
        assert builder.append(1, b"\xe9", b"\xff", [(name, b"\xe9")])
    builder.close()
    batch = MemoryRecords(builder.buffer()).next_batch()
    records = list(batch)
    assert [record.headers for record in records] == [[(name, b"\xe9")] for name in ("цвет", "cl\\xe9", "trace")]
    assert [(record.key, record.value) for record in records] == [(b"\xe9", b"\xff")] * 3
    assert {type(part) for record in records for part in (record.key, record.value, record.headers[0][1])} == {bytes}
