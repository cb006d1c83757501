"""Staying in the group while the broker comes and goes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError
from kafka.structs import MemberState

from worker.stream import membership


class Consumer:
    """A member of a stable group whose polls fail."""

    def __init__(self, error: KafkaError) -> None:
        self._error = error
        self._fetcher = SimpleNamespace(_next_partition_records=None)

    def group_metadata(self) -> Any:
        return SimpleNamespace(state=MemberState.STABLE)

    def poll(self, *, timeout_ms: int, max_records: int) -> dict[Any, Any]:
        assert (timeout_ms, max_records) == (100, 64)
        raise self._error


def test_a_refused_connection_is_waited_out() -> None:
    assert membership.poll(Consumer(KafkaConnectionError("111 ECONNREFUSED")), 0.1, 64) == {}


def test_what_waiting_does_not_mend_ends_the_worker() -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        membership.poll(Consumer(TopicAuthorizationFailedError()), 0.1, 64)
