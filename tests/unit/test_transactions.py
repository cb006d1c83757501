"""What a transaction may hold: never offsets without the records that they stand for."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from worker.stream.producer import await_delivery


class Producer:
    """Delivers what was sent when it is flushed."""

    def __init__(self) -> None:
        self.flushed = False

    def flush(self) -> None:
        self.flushed = True


class Sent:
    """The future of one record."""

    def __init__(self, producer: Producer, error: Exception | None = None) -> None:
        self._producer = producer
        self._error = error

    def get(self, timeout: float) -> Any:
        assert timeout > 0
        assert self._producer.flushed, "a record is waited for that nobody was told to send"
        if self._error is not None:
            raise self._error


def test_every_record_is_awaited() -> None:
    producer = Producer()
    await_delivery(producer, [Sent(producer), Sent(producer)])
    assert producer.flushed


def test_one_record_that_expired_fails_the_transaction_before_its_offsets_are_added() -> None:
    producer = Producer()
    with pytest.raises(KafkaTimeoutError):
        await_delivery(producer, [Sent(producer), Sent(producer, KafkaTimeoutError("expired"))])
