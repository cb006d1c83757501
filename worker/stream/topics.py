"""Which topics there are: the only place that knows their names."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from worker.errors import ConfigurationError
from worker.settings import Settings

log = structlog.get_logger(__name__)

_LEADER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one deployment.

    Parameters:
        created: new listings, what we read.
        coloured: colours, what we write.
        retries: one for each retry delay, shortest first; read and written.
        dead: dead letters.
    """

    created: str
    coloured: str
    retries: tuple[str, ...]
    dead: str

    @classmethod
    def from_settings(cls, settings: Settings) -> Topics:
        """As the settings name them; as many retry topics as there are delays."""
        names = settings.topics
        retries = tuple(f"{names.retry_prefix}.{n}" for n in range(1, len(settings.stream.retry_delays) + 1))
        return cls(names.created, names.coloured, retries, names.dead)

    @property
    def consumed(self) -> tuple[str, ...]:
        """What the worker subscribes to."""
        return (self.created, *self.retries)

    @property
    def redriven(self) -> str:
        """Which dead letters were put back; exists once ``deadletters redrive`` was used."""
        return f"{self.dead}.redriven"

    @property
    def replays(self) -> str:
        """The plans of replays; exists once ``replay`` was used."""
        return f"{self.coloured}.replays"

    @property
    def replay_dead(self) -> str:
        """What replays could not answer; exists once ``replay`` was used."""
        return f"{self.dead}.replay"

    @property
    def all(self) -> tuple[str, ...]:
        """Every topic that must exist."""
        return (*self.consumed, self.coloured, self.dead)


def ensure(
    settings: Settings,
    names: Sequence[str],
    *,
    partitions: int | None = None,
    configs: Mapping[str, str] | None = None,
) -> list[str]:
    """Create the topics that are missing, and return their names.

    Parameters:
        partitions: of a new topic, instead of the settings'.
        configs: more of a new topic's configuration.

    Raises:
        ConfigurationError: a topic is missing and ``COLOUR_TOPICS__CREATE`` is off, or the broker refuses to make it.
        KafkaError: Kafka does not answer.
    """
    admin = KafkaAdminClient(**settings.kafka.client(), client_id="colour-worker-topics", bootstrap_timeout_ms=15_000)
    try:
        present = set(admin.list_topics())
        missing = [name for name in names if name not in present]
        if missing and not settings.topics.create:
            raise ConfigurationError(
                f"topics are missing: {', '.join(missing)}; create them, or set COLOUR_TOPICS__CREATE=true"
            )
        # Room for the headers that a retry or a dead letter adds to the largest event.
        limit = str(settings.stream.max_record_bytes + (64 << 10))
        for name in missing:
            topic = NewTopic(
                name=name,
                num_partitions=partitions or settings.topics.partitions,
                replication_factor=settings.topics.replication,
                topic_configs={"max.message.bytes": limit, **(configs or {})},
            )
            try:
                admin.create_topics([topic])
            except TopicAlreadyExistsError:
                continue  # another worker that started with us was faster
            except KafkaError as error:
                raise ConfigurationError(f"topic {name} cannot be created: {error}") from error
            log.info("topic_created", topic=name, partitions=topic.num_partitions)
        _wait_for_leaders(admin, missing)
        return missing
    finally:
        admin.close()


def _wait_for_leaders(admin: Any, names: Sequence[str]) -> None:
    """Wait until the new topics can be read and written.

    A consumer that subscribes earlier is given no partition of them, until it asks for metadata again half a minute
    later.
    """
    deadline = time.monotonic() + _LEADER_SECONDS
    while names and time.monotonic() < deadline:
        partitions = [
            partition
            for topic in admin.describe_topics(list(names))
            for partition in topic["partitions"] or [{"leader_id": -1}]
        ]
        if all(partition["leader_id"] >= 0 for partition in partitions):
            return
        time.sleep(0.1)
    if names:
        log.warning("topics_without_leaders", topics=list(names), waited=_LEADER_SECONDS)
