"""Which member of the group reads which partition: each topic is shared out evenly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from kafka import TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment


class EvenByTopicAssignor(CooperativeStickyAssignor):  # type: ignore[misc]  # kafka-python is untyped
    """KIP-429's cooperative sticky assignor, applied to one topic after the other.

    The original counts partitions of all topics alike. Our topics are not alike: nearly all work stands in the topic of
    new listings, and nearly none in the retry topics, so that of two workers with as many partitions each, one may have
    all the work. Here each topic's partitions are shared out evenly; within a topic they stay where they are and move
    in two steps, as KIP-429 has it.

    Parameters:
        owned: tells which partitions the member still has, which is what it claims when it joins. kafka-python 3.0.12
            claims what it was assigned last, even if that was lost long since: whoever comes back to its group after
            it was silent for too long would claim what others have by now, and could be given it while they still work
            on it, without the step in which they let it go.
    """

    name = "cooperative-sticky-by-topic"

    def __init__(self, owned: Callable[[], Iterable[TopicPartition]]) -> None:
        super().__init__()
        self._owned = owned

    def metadata(self, topics: Iterable[str]) -> Any:
        """What a member says when it joins: its topics, and the partitions that it still has."""
        self.member_assignment = list(self._owned())
        return super().metadata(topics)

    def assign(self, cluster: Any, members: Iterable[Any]) -> dict[str, Any]:
        """Member id -> its assignment of partitions.

        Parameters:
            cluster: knows the partitions of each topic.
            members: each with ``member_id`` and ``metadata``, its subscription and owned partitions.
        """
        members = list(members)
        shares: dict[str, list[tuple[str, list[int]]]] = defaultdict(list)
        for topic in sorted({topic for member in members for topic in member.metadata.topics}):
            subscribed = [_only(topic, member) for member in members if topic in member.metadata.topics]
            for member_id, assignment in super().assign(cluster, subscribed).items():
                shares[member_id] += [(name, list(numbers)) for name, numbers in assignment.assigned_partitions]
        return {
            member.member_id: ConsumerProtocolAssignment(self.version, shares[member.member_id], b"")
            for member in members
        }


def _only(topic: str, member: Any) -> SimpleNamespace:
    """The member as if it had subscribed to nothing else."""
    metadata = member.metadata
    owned = [share for share in getattr(metadata, "owned_partitions", None) or () if share.topic == topic]
    narrowed = SimpleNamespace(topics=[topic], owned_partitions=owned, generation_id=metadata.generation_id)
    return SimpleNamespace(member_id=member.member_id, metadata=narrowed)
