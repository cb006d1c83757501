"""Writes shadow records, apart from the live transactions.

They could stand in the same transaction as the answer that they are compared with. They do not: then a batch could be
committed only once the candidate has answered, and a shadow topic that refuses a record would abort live answers. The
price is that a worker that dies loses the few samples it held; a sample can bear that. None is written twice: an event
is offered after its commit, which happens once, and the producer is idempotent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError

from worker.settings import Settings
from worker.shadow.record import ListingShadowed
from worker.stream import topics

log = structlog.get_logger(__name__)

RETENTION = 7 * 24 * 3600 * 1000
"""Milliseconds that a new shadow topic keeps its records; by then the candidate is active or forgotten."""

_PATIENCE = 5.0


class Writer:
    """Writes into the shadow topic, which is made on first use. Blocks: call it from a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: Any = None

    def write(self, records: Sequence[ListingShadowed]) -> None:
        """Return when Kafka has them all.

        Raises:
            KafkaError: it has not, within some seconds.
            ConfigurationError: the topic is missing and may not be created.
        """
        topic = self._settings.topics.shadow
        try:
            producer = self._open()
            sent = [
                producer.send(
                    topic,
                    key=record.listing_id.encode(),
                    value=record.model_dump_json(by_alias=True).encode(),
                )
                for record in records
            ]
            producer.flush(timeout=_PATIENCE)
            for future in sent:
                future.get(timeout=_PATIENCE)
        except Exception:
            self.close()  # an idempotent producer that gave up a record is of no more use
            raise

    def close(self) -> None:
        """Close the connection; the next write opens another."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.close(timeout=1)
            except KafkaError as error:
                log.debug("shadow_producer_closed", unsent=str(error))

    def _open(self) -> Any:
        if self._producer is None:
            settings = self._settings
            topics.ensure(settings, (settings.topics.shadow,), configs={"retention.ms": str(RETENTION)})
            self._producer = KafkaProducer(
                **settings.kafka.client(),
                client_id=f"colour-worker-shadow-{settings.stream.instance}",
                enable_idempotence=True,
                acks="all",
                compression_type=None if settings.kafka.compression == "none" else settings.kafka.compression,
                linger_ms=20,
                max_block_ms=int(_PATIENCE * 1000),
                request_timeout_ms=int(_PATIENCE * 1000),
                delivery_timeout_ms=int(_PATIENCE * 2000),
                allow_auto_create_topics=False,
            )
        return self._producer
