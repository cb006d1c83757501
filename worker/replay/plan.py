"""What a replay does, written down once at its start: a resume or another process does the same."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Self

from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError
from pydantic import AwareDatetime, BaseModel, ConfigDict

from worker.deadletters.reading import Snapshot
from worker.errors import ConfigurationError
from worker.events import ReleaseNames
from worker.replay.ranges import Range
from worker.replay.selection import Selection
from worker.settings import Settings
from worker.stream import topics
from worker.stream.producer import transactional_producer, within
from worker.stream.topics import Topics

_ATTEMPTS = 8


class Plan(BaseModel):
    """One replay.

    Parameters:
        id: names it, its consumer group and the ``run`` of its outputs.
        topic: what is read.
        ranges: the offsets that are read, with their ends frozen.
        only: the conditions of ``Selection``, as given.
        changes_only: an answer that is equal to the last one is not published.
        output_topic: where answers go.
        release: what answers, from the first event to the last.
        since: of ``--from``, if it is a time.
        request: the options as given: repeated with the same ones, the command takes part instead of beginning anew.
        made: when.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    topic: str
    ranges: tuple[Range, ...]
    only: tuple[str, ...] = ()
    changes_only: bool = False
    output_topic: str
    release: ReleaseNames
    since: AwareDatetime | None = None
    request: Mapping[str, str] = {}
    made: AwareDatetime

    @property
    def run(self) -> str:
        """Stands in every output."""
        return f"replay/{self.id}"

    @property
    def selection(self) -> Selection:
        """Which records of the ranges are replayed."""
        return Selection.parse(self.only)

    @property
    def ends(self) -> dict[TopicPartition, int]:
        """Where to stop."""
        return {TopicPartition(self.topic, r.partition): r.end for r in self.ranges}

    @property
    def offsets(self) -> int:
        """How many offsets the ranges span; an upper bound of their records."""
        return sum(r.end - r.start for r in self.ranges)

    @classmethod
    def find(cls, settings: Settings, replay: str) -> Self | None:
        """The plan of this id, if it was ever begun.

        Raises:
            KafkaError: Kafka does not answer.
        """
        found = None
        with Snapshot(settings, Topics.from_settings(settings).replays) as snapshot:
            for record in snapshot.records() if snapshot.exists else ():
                if record.key == replay.encode() and record.value is not None:
                    found = cls.model_validate_json(record.value)
        return found

    def check_request(self, request: Mapping[str, str]) -> None:
        """Refuse options that would make it another replay.

        Raises:
            ConfigurationError: naming the first that differs.
        """
        for name in sorted({*request, *self.request}):
            if request.get(name) != self.request.get(name):
                raise ConfigurationError(
                    f"replay {self.id} was begun with --{name} {self.request.get(name, '(not given)')}; resume it with "
                    f"--id {self.id} and no other option than --rate, or choose another id"
                )


def group(settings: Settings, replay: str) -> str:
    """The consumer group of a replay."""
    return f"{settings.stream.group}.replay.{replay}"


def begin(settings: Settings, replay: str, draft: Callable[[], Plan]) -> Plan:
    """Write down the plan and its first offsets, or take the plan that is there already.

    Both are written in ONE transaction: a group that has offsets has a plan, and the other way round. Processes that
    begin the same replay at once use one transactional id, so each fences those before it, and reads the plan topic
    only after that: one of them writes, the others find.

    Raises:
        ConfigurationError: the plan topic is missing and may not be created, or the draft cannot be made.
        KafkaError: Kafka does not answer.
    """
    names = Topics.from_settings(settings)
    topics.ensure(settings, [names.replays], partitions=1, configs={"cleanup.policy": "compact"})
    for attempt in range(1, _ATTEMPTS + 1):
        producer = transactional_producer(settings.kafka, settings.stream, f"replay.{replay}.plan")
        try:
            producer.init_transactions()
            if (plan := Plan.find(settings, replay)) is not None:
                return plan
            plan = draft()
            within(settings.stream.transaction_timeout, partial(_write, producer, settings, plan))
        except (KafkaError, TimeoutError) as error:
            if attempt == _ATTEMPTS:
                raise KafkaError(f"the plan of replay {replay} could not be written: {error}") from error
            # Most likely another process began the same replay and has fenced this one. Each waits for a time of its
            # own, and whoever finds the plan then fences nobody.
            time.sleep(random.uniform(0.2, 1.0) * attempt)
            if (plan := Plan.find(settings, replay)) is not None:
                return plan
        else:
            return plan
        finally:
            producer.close(timeout=2)
    raise AssertionError("unreachable")


def _write(producer: Any, settings: Settings, plan: Plan) -> None:
    producer.begin_transaction()
    topic = Topics.from_settings(settings).replays
    producer.send(topic, key=plan.id.encode(), value=plan.model_dump_json().encode(), partition=0)
    offsets = {TopicPartition(plan.topic, r.partition): OffsetAndMetadata(r.start, "", -1) for r in plan.ranges}
    # Nobody can be in the group before its plan exists, so there is no member to speak for.
    producer.send_offsets_to_transaction(offsets, ConsumerGroupMetadata(group(settings, plan.id)))
    producer.commit_transaction()


def new_id(now: datetime) -> str:
    """An id that tells when the replay was begun, to the second."""
    return f"{now:%Y%m%d-%H%M%S}"
