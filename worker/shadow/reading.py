"""What the shadow topic holds, and the listings that its records speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from pydantic import ValidationError

from worker.deadletters.reading import Snapshot
from worker.errors import ConfigurationError, Rejected
from worker.events import ListingCreated, Source
from worker.settings import Settings
from worker.shadow.record import ListingShadowed


def records(settings: Settings, since: datetime | None) -> Iterator[ListingShadowed]:
    """The shadow records up to the present end; what is none of ours is passed over.

    Parameters:
        since: written at or after; ``None``: all that is kept.

    Raises:
        ConfigurationError: there is no shadow topic.
        KafkaError: Kafka does not answer.
    """
    with Snapshot(settings, settings.topics.shadow) as snapshot:
        if not snapshot.exists:
            raise ConfigurationError(
                f"there is no topic {settings.topics.shadow}: no worker has shadowed anything yet; begin by: "
                "colour-worker models shadow --head N --share 0.1"
            )
        for record in snapshot.records(since):
            try:
                shadowed = ListingShadowed.model_validate_json(record.value or b"")
            except ValidationError:
                continue
            if since is None or shadowed.shadowed_at >= since:
                yield shadowed


def originals(settings: Settings, shadowed: Iterable[ListingShadowed]) -> dict[str, ListingCreated]:
    """Event id -> the listing as it was published; those that Kafka no longer keeps are left out.

    Raises:
        KafkaError: Kafka does not answer.
    """
    found: dict[str, ListingCreated] = {}
    for topic, sources in _by_topic(record.source for record in shadowed).items():
        with Snapshot(settings, topic) as snapshot:
            for source in sources:
                record = snapshot.at(source.partition, source.offset)
                if record is None:
                    continue
                try:
                    event = ListingCreated.parse(record.value)
                except Rejected:
                    continue  # the topic was made anew, and another record has this offset now
                found[event.event_id] = event
    return found


def _by_topic(sources: Iterable[Source]) -> dict[str, Sequence[Source]]:
    topics: dict[str, list[Source]] = {}
    for source in sources:
        topics.setdefault(source.topic, []).append(source)
    return {topic: sorted(some, key=lambda one: (one.partition, one.offset)) for topic, some in topics.items()}
