"""How a transaction ended, from what its coordinator remembers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kafka import TopicPartition

from worker.stream.hanging import Open, ended, offsets_partition

BEGAN = 1_000_000
PLACE = Open(TopicPartition("coloured", 0), producer_id=7, start=3, epoch=4, coordinator_epoch=0, timestamp=BEGAN - 5)


@pytest.mark.parametrize(
    ("state", "epoch", "committed"),
    [
        ("CompleteCommit", 4, True),
        ("CompleteCommit", 5, None),  # a later transaction of a later producer
        ("Empty", 5, True),  # initialised, and nothing aborted before that
        ("Empty", 6, None),  # aborted and initialised, or initialised twice
        ("CompleteAbort", 5, False),
        ("CompleteAbort", 6, None),
        ("CompleteAbort", 4, None),  # a client's own abort: none of ours
    ],
)
def test_state_and_epoch_tell_how_it_ended_or_nothing_is_guessed(
    state: str,
    epoch: int,
    committed: bool | None,  # noqa: FBT001 - a parameter of the table
) -> None:
    remembered = SimpleNamespace(
        state=SimpleNamespace(value=state), producer_epoch=epoch, transaction_start_time_ms=BEGAN
    )
    assert ended(PLACE, remembered) is committed


def test_an_abort_of_a_transaction_that_began_later_says_nothing_about_this_one() -> None:
    later = SimpleNamespace(
        state=SimpleNamespace(value="CompleteAbort"), producer_epoch=5, transaction_start_time_ms=BEGAN + 10_000
    )
    assert ended(PLACE, later) is None


@pytest.mark.parametrize(
    ("group", "partition"),
    # As Java printed them; the hash of the last one has no absolute value.
    [("colour-worker", 11), ("", 0), ("группа", 8), ("polygenelubricants", 0)],
)
def test_a_groups_offsets_are_where_java_puts_them(group: str, partition: int) -> None:
    assert offsets_partition(group, range(50)) == TopicPartition("__consumer_offsets", partition)
