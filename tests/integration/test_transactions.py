"""Transactions of a real Kafka: what one that failed leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from kafka import ConsumerGroupMetadata, KafkaAdminClient, OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError

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
