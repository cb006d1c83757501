"""Each topic's partitions are shared out evenly, and stay where they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription

from worker.stream.assignment import EvenByTopicAssignor

TOPICS = ("created", "retry.1", "retry.2", "retry.3")
Owned = dict[str, list[int]]


class Cluster:
    """What the algorithm asks of kafka-python's cluster metadata."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return set(range(self._partitions))

    def topics(self) -> set[str]:
        return set(TOPICS)


def member(name: str, owned: Owned | None = None) -> Any:
    share = ConsumerProtocolSubscription.TopicPartition
    metadata = ConsumerProtocolSubscription(
        version=1,
        topics=list(TOPICS),
        user_data=b"",
        owned_partitions=[share(topic=topic, partitions=numbers) for topic, numbers in (owned or {}).items()],
    )
    return SimpleNamespace(member_id=name, metadata=metadata)


def assign(partitions: int, *members: Any) -> dict[str, Owned]:
    shares = EvenByTopicAssignor().assign(Cluster(partitions), members)
    return {
        name: {topic: sorted(numbers) for topic, numbers in assignment.assigned_partitions}
        for name, assignment in shares.items()
    }


def test_two_workers_share_every_topic_evenly() -> None:
    shares = assign(6, member("a"), member("b"))
    assert {name: {topic: len(own) for topic, own in share.items()} for name, share in shares.items()} == {
        name: dict.fromkeys(TOPICS, 3) for name in ("a", "b")
    }
    assert all(sorted(shares["a"][topic] + shares["b"][topic]) == list(range(6)) for topic in TOPICS)


def test_what_moves_is_given_to_nobody_until_its_owner_let_it_go() -> None:
    everything = {topic: [0, 1, 2, 3] for topic in TOPICS}
    first = assign(4, member("a", everything), member("b"))
    assert {len(own) for own in first["a"].values()} == {2}
    assert first["b"] == {}
    second = assign(4, member("a", first["a"]), member("b"))
    assert second["a"] == first["a"]
    assert {topic: len(own) for topic, own in second["b"].items()} == dict.fromkeys(TOPICS, 2)


def test_a_balanced_group_stays_as_it_is() -> None:
    shares = assign(6, member("a"), member("b"), member("c"))
    assert assign(6, *(member(name, own) for name, own in shares.items())) == shares


def test_a_worker_more_than_there_are_partitions_gets_none() -> None:
    shares = assign(2, member("a"), member("b"), member("c"))
    assert sorted(len(own.get("created", [])) for own in shares.values()) == [0, 1, 1]
