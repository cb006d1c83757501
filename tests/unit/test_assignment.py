"""Each topic's partitions are shared out evenly, and stay where they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from kafka import TopicPartition
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

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
    shares = EvenByTopicAssignor(owned=tuple).assign(Cluster(partitions), members)
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


def test_a_member_claims_what_it_has_and_not_what_it_was_given_once() -> None:
    """A zombie that claimed what others have by now could be given it while they still work on it."""
    owned = {TopicPartition("created", 1), TopicPartition("created", 0), TopicPartition("retry.1", 2)}
    assignor = EvenByTopicAssignor(owned=lambda: owned)
    given = ConsumerProtocolAssignment(1, [("created", [0, 1]), ("retry.1", [2])], b"")
    assignor.on_assignment(given, 7)
    claimed = {share.topic: share.partitions for share in assignor.metadata(TOPICS).owned_partitions}
    assert claimed == {"created": [0, 1], "retry.1": [2]}
    owned.clear()
    assert assignor.metadata(TOPICS).owned_partitions == []
