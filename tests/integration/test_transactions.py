"""Transactions of a real Kafka: what one that failed leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from kafka import ConsumerGroupMetadata, KafkaAdminClient, OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError, KafkaConnectionError

from deploy.local.kafka import KafkaServer
from tests.support.replaying import records
from worker.settings import KafkaSettings, StreamSettings
from worker.stream.mending import Mender
from worker.stream.producer import Producer
from worker.stream.publication import Publication
from worker.stream.topics import Topics


@pytest.fixture
def producer(kafka: KafkaServer, unique: str, make_topic: Callable[..., str]) -> Iterator[Producer]:
    """Ready for its first transaction."""
    settings, stream = KafkaSettings(bootstrap_servers=kafka.bootstrap), StreamSettings(group=unique)
    made = Producer(
        settings, stream, Mender(settings, stream, Topics("", make_topic("coloured"), (), make_topic("dead")))
    )
    made.open(threading.Event())
    yield made
    made.close()


def disconnect(producer: Producer) -> None:
    """Close every connection of a producer, as a broker that goes away does."""
    sender = producer._producer._sender
    assert sender._client._manager._conns
    sender._client._net.call_soon(sender._client._manager.close)
    sender.wakeup()
    assert producer._lost.wait(20)


def test_no_offset_of_a_transaction_that_failed_is_committed_by_the_next(
    kafka: KafkaServer, producer: Producer, unique: str, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(partitions=2)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    stranger = ConsumerGroupMetadata(unique, generation_id=1, member_id="nobody")
    with pytest.raises(CommitFailedError):
        producer.transact([Publication(topic, b"lost", b"{}", [])], {first: OffsetAndMetadata(5, "", -1)}, stranger)
    producer.recover(threading.Event())
    producer.transact(
        [Publication(topic, b"kept", b"{}", [])], {second: OffsetAndMetadata(7, "", -1)}, ConsumerGroupMetadata(unique)
    )
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        found = admin.list_group_offsets({unique: [first, second]})[unique]
    finally:
        admin.close()
    assert {place: offset.offset for place, offset in found.items() if offset.offset >= 0} == {second: 7}
    assert [record.key for record in records(kafka.bootstrap, topic)] == [b"kept"]


def test_a_producer_that_lost_a_connection_sends_nothing_more_and_the_next_one_goes_on(
    kafka: KafkaServer, producer: Producer, unique: str, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(partitions=1)
    read = TopicPartition(make_topic("read", partitions=1), 0)

    def transact(key: bytes, offset: int) -> None:
        offsets = {read: OffsetAndMetadata(offset, "", -1)}
        producer.transact([Publication(topic, key, b"{}", [])], offsets, ConsumerGroupMetadata(unique))

    transact(b"before", 1)
    disconnect(producer)
    with pytest.raises(KafkaConnectionError):
        transact(b"never", 2)
    producer.recover(threading.Event())
    transact(b"after", 3)
    disconnect(producer)  # between two transactions, as by a broker that closes what idles
    producer.recover(threading.Event())
    transact(b"later", 4)
    assert [record.key for record in records(kafka.bootstrap, topic)] == [b"before", b"after", b"later"]
