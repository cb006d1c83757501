"""Puts dead letters back onto the topic of new listings, each exactly once."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kafka.errors import KafkaError

from worker.deadletters import ledger
from worker.deadletters.ledger import Ledger
from worker.deadletters.letter import DeadLetter
from worker.deadletters.reading import Snapshot
from worker.deadletters.selection import Selection
from worker.settings import Settings
from worker.stream.producer import await_delivery, transactional_producer, within
from worker.stream.topics import Topics

_MAX_RECORDS = 100
_MAX_BYTES = 8 << 20
"""Of one transaction; a single larger letter makes one of its own."""


@dataclass(slots=True)
class Tally:
    """What became of the selected dead letters.

    Parameters:
        redriven: put back now (or, in a dry run, would be).
        before: were put back by an earlier run.
        omitted: cannot be put back from here, since their originals were too large to be kept.
        foreign: records of the topic that no worker wrote, of any kind.
    """

    redriven: int = 0
    before: int = 0
    omitted: int = 0
    foreign: int = 0


def redrive(settings: Settings, selection: Selection, *, limit: int | None, dry_run: bool) -> Generator[Tally]:
    """Put selected dead letters back, oldest first within each partition; yields the tally after each transaction.

    The original key, value and headers are written to the topic of new listings, to the partition that they came from
    if it is that topic's, without the headers that we added: the event begins with attempt 0. If it fails again, a new
    dead letter is written, which can be put back again.

    Exactly once, by three things together. The copies and one ledger record for each letter are written in ONE
    transaction, so that a letter is in the ledger if and only if ``read_committed`` readers see its copy. Every run
    uses the same transactional id, so that ``init_transactions`` fences a run that is still going on (or hangs), and
    completes or aborts what it left open. Only after that the ledger is read, to its end: nobody but this run can add
    to it from then on. Hence a run that was killed at any point, repeated, or started twice at once puts no letter back
    twice and forgets none. (A plain consumer-group offset would not do: with filters, letters are put back
    out of order.)

    Raises:
        KafkaError: Kafka does not answer, or a second run has fenced this one. What was committed stays committed; run
            it again.
        ConfigurationError: a topic is missing and may not be created.
    """
    names = Topics.from_settings(settings)
    tally = Tally()
    if dry_run:
        known = Ledger.read(settings, names.redriven)
        due = _due(settings, names.dead, selection, known=known, tally=tally, limit=limit)
        tally.redriven = sum(1 for _ in due)
        yield tally
        return
    ledger.ensure(settings, names)
    producer = transactional_producer(settings.kafka, settings.stream, "redrive")
    try:
        producer.init_transactions()
        known = Ledger.read(settings, names.redriven)
        _forget_expired(settings, names, known, producer)
        partitions = producer.partitions_for(names.created) or set()
        # Closed here, whatever happens: left to the interpreter's end, the consumer in it would wait for a thread that
        # does not run any more.
        with closing(_due(settings, names.dead, selection, known=known, tally=tally, limit=limit)) as due:
            for batch in _batches(due):
                _transact(producer, settings, _copies(batch, names, partitions))
                tally.redriven += len(batch)
                yield tally
        yield tally
    finally:
        producer.close(timeout=5)


def _due(
    settings: Settings, topic: str, selection: Selection, *, known: Ledger, tally: Tally, limit: int | None
) -> Generator[DeadLetter]:
    found = 0
    with Snapshot(settings, topic) as snapshot:
        for record in snapshot.records(selection.since):
            letter = DeadLetter.open(record)
            if letter is None:
                tally.foreign += 1
            elif letter not in selection:
                continue
            elif letter in known:
                tally.before += 1
            elif letter.omitted is not None:
                tally.omitted += 1
            else:
                found += 1
                yield letter
                if found == limit:
                    return


def _batches(letters: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    batch: list[DeadLetter] = []
    size = 0
    for letter in letters:
        batch.append(letter)
        size += len(letter.value or b"")
        if len(batch) == _MAX_RECORDS or size >= _MAX_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class _Copy:
    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int | None


def _copies(letters: Iterable[DeadLetter], names: Topics, partitions: set[int]) -> list[_Copy]:
    now = datetime.now(UTC)
    copies = []
    for letter in letters:
        from_here = letter.source.topic == names.created and letter.source.partition in partitions
        partition = letter.source.partition if from_here else None
        copies.append(_Copy(names.created, letter.key, letter.value, list(letter.headers), partition))
        copies.append(_Copy(names.redriven, *ledger.entry(letter, now), [], 0))
    return copies


def _forget_expired(settings: Settings, names: Topics, known: Ledger, producer: Any) -> None:
    with Snapshot(settings, names.dead) as snapshot:
        expired = known.expired(snapshot.beginnings())
    for at in range(0, len(expired), 10_000):
        tombstones = [_Copy(names.redriven, place.encode(), None, [], 0) for place in expired[at : at + 10_000]]
        _transact(producer, settings, tombstones)


def _transact(producer: Any, settings: Settings, copies: Iterable[_Copy]) -> None:
    def transact() -> None:
        producer.begin_transaction()
        sent = [
            producer.send(copy.topic, key=copy.key, value=copy.value, headers=copy.headers, partition=copy.partition)
            for copy in copies
        ]
        await_delivery(producer, sent)
        producer.commit_transaction()

    try:
        within(settings.stream.transaction_timeout, transact)
    except KafkaError:
        # An open transaction would hide what others write behind it until Kafka's time limit. If it cannot be aborted,
        # because a second run has fenced this one or Kafka is away, that limit or the next run ends it.
        with contextlib.suppress(KafkaError, TimeoutError):
            within(5.0, producer.abort_transaction)
        raise
    except TimeoutError:
        raise KafkaError(
            "a transaction was not answered in time; run redrive again: nothing is put back twice"
        ) from None
