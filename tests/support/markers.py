"""Transactions that hang as a crash of Kafka leaves them: complete for their coordinator, with markers missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import ConsumerGroupMetadata, KafkaAdminClient, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.producer.transaction_manager import TxnOffsetCommitHandler

from tests.support.waiting import wait_for

_VERIFICATION = "transaction.partition.verification.enable"


@contextmanager
def unverified(bootstrap: str) -> Iterator[None]:
    """A broker that takes transactional records for partitions that the coordinator has not heard of."""
    _configure(bootstrap, "false")
    try:
        yield
    finally:
        _configure(bootstrap, "true")


def hang(
    producer: KafkaProducer,
    topic: str,
    key: bytes,
    *,
    group: str,
    offsets: Mapping[TopicPartition, OffsetAndMetadata],
) -> None:
    """Write a record to partitions 0 and 1 of ``topic`` and offsets of a group, and let only partition 0 know the end.

    Afterwards the transaction is committed for its coordinator. The broker must be ``unverified``.

    Parameters:
        producer: transactional, between two transactions.
    """
    manager: Any = producer._transaction_manager
    producer.begin_transaction()
    producer.send(topic, key=key, value=b"told", partition=0)
    producer.flush()
    # It looks added, and the coordinator knows nothing.
    manager._partitions_in_transaction.add(TopicPartition(topic, 1))
    producer.send(topic, key=key, value=b"untold", partition=1)
    producer.flush()
    if offsets:
        manager._pending_txn_offset_commits.update(offsets)
        handler = TxnOffsetCommitHandler(manager, ConsumerGroupMetadata(group), dict(offsets), None)
        manager._enqueue_request(handler)
        producer._sender.wakeup()
        assert handler.result.wait(20_000)
    producer.commit_transaction()


def _configure(bootstrap: str, value: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    asked = ConfigResource(ConfigResourceType.BROKER, "1", {_VERIFICATION: None})

    def followed() -> bool:
        # A broker that has not seen the change yet may leave the name out.
        found = admin.describe_configs([asked])["broker"]["1"].get(_VERIFICATION)
        return bool(found and found["value"] == value)

    try:
        admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, "1", {_VERIFICATION: value})])
        wait_for(followed, f"{_VERIFICATION}={value}")  # the controller answers before the broker follows it
    finally:
        admin.close()
