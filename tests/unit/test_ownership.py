"""Leases: what was read under an old assignment is never committed under a new one."""

from __future__ import annotations

from kafka import TopicPartition

from worker.stream.ownership import Ownership

A, B = TopicPartition("created", 0), TopicPartition("created", 1)


def test_a_partition_that_comes_back_has_another_lease() -> None:
    ownership = Ownership()
    ownership.on_partitions_assigned([A, B])
    before = ownership.lease(A)
    ownership.on_partitions_revoked([A])
    assert ownership.lease(A) is None
    ownership.on_partitions_assigned([A])
    assert ownership.lease(A) not in (None, before)


def test_a_cooperative_rebalance_leaves_the_other_leases_alone() -> None:
    ownership = Ownership()
    ownership.on_partitions_assigned([A])
    before = ownership.lease(A)
    ownership.on_partitions_assigned([B])
    ownership.on_partitions_lost([B])
    assert ownership.lease(A) == before
    assert ownership.partitions() == {A}
