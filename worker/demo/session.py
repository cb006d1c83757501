"""The three parts of the demo: a burst, a steady stream, and the same listings again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from worker.demo import events
from worker.demo.ledger import Ledger, Pass, Sent
from worker.demo.listings import Listing
from worker.demo.process import Lookups, WorkerProcess
from worker.demo.reader import Reader
from worker.demo.screen import Screen
from worker.errors import ColourTaggerError
from worker.events import ListingColoured
from worker.publish.producer import ListingProducer

_POLL_SECONDS = 0.05


class Incomplete(ColourTaggerError):
    """Listings are without an answer; the message names them."""


class Session:
    """Publishes listings and waits for their answers.

    Parameters:
        photos: folder of the photos.
        photos_url: where the worker finds it.
        deadline: ``time.monotonic()`` after which nothing is waited for.
    """

    def __init__(
        self,
        *,
        producer: ListingProducer,
        reader: Reader,
        worker: WorkerProcess,
        ledger: Ledger,
        screen: Screen,
        photos: Path,
        photos_url: str,
        deadline: float,
    ) -> None:
        self._producer = producer
        self._reader = reader
        self._worker = worker
        self._ledger = ledger
        self._screen = screen
        self._photos = photos
        self._photos_url = photos_url
        self._deadline = deadline

    def run(self, listings: Sequence[Listing], *, steady: int, rate: float) -> tuple[Lookups, Lookups]:
        """Publish and wait; the cache's lookups of the first and of the second time.

        Parameters:
            steady: how many are published one by one.
            rate: how many of those a second.

        Raises:
            Incomplete: answers are missing at the deadline, or Kafka did not take an event.
            WorkerFailed: the worker ended.
        """
        # The broken ones belong to the burst: their attempts are over when the others have been published.
        whole = [listing for listing in listings if listing.fault is None]
        singles = whole[-steady:]
        chosen = {listing.listing_id for listing in singles}
        burst = [listing for listing in listings if listing.listing_id not in chosen]

        start = self._worker.lookups()
        self._publish("burst", burst, published=0)
        self._wait(lambda: self._ledger.settled("burst"))
        self._publish("steady", singles, published=0, rate=rate)
        self._wait(lambda: not self._ledger.missing())
        between = self._worker.lookups()
        answered = [
            answer.sent.listing for answer in self._ledger.answers() if isinstance(answer.content, ListingColoured)
        ]
        self._publish("again", answered, published=1)
        self._wait(lambda: not self._ledger.missing())
        return between.since(start), self._worker.lookups().since(between)

    def _publish(self, part: Pass, listings: Sequence[Listing], *, published: int, rate: float | None = None) -> None:
        self._screen.totals[part] = len(listings)
        # Made beforehand: reading photos from the disk is no part of what is measured.
        records = [(listing, events.record(listing, self._photos, self._photos_url, published)) for listing in listings]
        started = time.monotonic()
        for number, (listing, value) in enumerate(records):
            if rate is not None:
                while (early := started + number / rate - time.monotonic()) > 0:
                    self._look()
                    time.sleep(min(early, _POLL_SECONDS))
            sent = Sent(listing, part, time.time())
            self._producer.send(
                listing.listing_id,
                listing.listing_id.encode(),
                value,
                partial(self._delivered, sent),
            )
        self._producer.flush()
        if self._producer.failures:
            listing_id, error = self._producer.failures[0]
            raise Incomplete(f"Kafka did not take {listing_id}: {error}")

    def _delivered(self, sent: Sent, partition: int, offset: int) -> None:
        self._ledger.sent((partition, offset), sent)

    def _wait(self, complete: Callable[[], bool]) -> None:
        while not complete():
            if time.monotonic() > self._deadline:
                missing = self._ledger.missing()
                names = ", ".join(sent.listing.listing_id for sent in missing[:20])
                raise Incomplete(f"{len(missing)} listings are without an answer: {names}")
            self._look()
            time.sleep(_POLL_SECONDS)
        self._screen.refresh()

    def _look(self) -> None:
        if self._reader.failure is not None:
            raise self._reader.failure
        self._worker.check()
        self._screen.refresh()
