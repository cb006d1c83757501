"""What a replay would cost: a sample of its records, through the cache and the models, and nothing into Kafka."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import typer
from kafka import KafkaConsumer, TopicPartition

from worker import service
from worker.models.background import BackgroundTriton
from worker.replay.plan import Plan
from worker.replay.previous import PreviousAnswers
from worker.replay.ranges import Range
from worker.replay.release import PinnedReleases
from worker.replay.screen import duration
from worker.replay.session import of_replay
from worker.settings import Settings
from worker.stream.batching import photo_lookups
from worker.tagger import Labelled, Outcome

_SAMPLE = 512
_SPOTS = 16
_PATIENCE = 10.0


@dataclass(slots=True)
class Sample:
    """Records from evenly spaced places of the ranges.

    Parameters:
        offsets: that were passed, gaps included.
        records: that were found there.
        chosen: values of those that are selected.
    """

    offsets: int
    records: int
    chosen: list[bytes | None]


@dataclass(frozen=True, slots=True)
class Measured:
    """The sample through the tagger.

    Parameters:
        hits, misses: photos looked up in the cache.
        first, second: seconds of the first pass, and of the second, for which the first had filled the cache.
        outcomes: counts by kind.
    """

    hits: int
    misses: int
    first: float
    second: float
    outcomes: Counter[str]


def report(settings: Settings, plan: Plan, previous: PreviousAnswers | None) -> None:
    """Print counts, cache coverage and an estimate of the time.

    The sample is tagged twice, under the plan's release and with background priority. That downloads and encodes what
    of the sample is not cached, and leaves it in the cache; nothing is written to Kafka.

    Raises:
        KafkaError: Kafka does not answer.
    """
    sample = take(settings, plan, previous)
    density = sample.records / sample.offsets if sample.offsets else 0.0
    share = len(sample.chosen) / sample.records if sample.records else 0.0
    events = plan.offsets * density
    typer.echo(f"topic\t{plan.topic}")
    for r in plan.ranges:
        typer.echo(f"partition {r.partition}\t{r.start} to {r.end}\t{r.end - r.start} offsets")
    typer.echo(f"release\timage {plan.release.image}, text {plan.release.text}, head {plan.release.head}")
    typer.echo(f"offsets\t{plan.offsets}")
    typer.echo(f"events\tabout {events:.0f} ({sample.records} sampled)")
    typer.echo(f"selected\tabout {events * share:.0f} ({share:.1%} of the sample)")
    if not sample.chosen:
        typer.echo("nothing of the sample is selected: no estimate")
        return
    measured = asyncio.run(_measure(settings, plan, sample.chosen))
    number = len(sample.chosen)
    lookups = measured.hits + measured.misses
    typer.echo(f"cache coverage\t{measured.hits / lookups:.1%} of photos" if lookups else "cache coverage\tno photos")
    typer.echo(f"outcomes\t{', '.join(f'{count} {kind}' for kind, count in measured.outcomes.most_common())}")
    typer.echo(f"tagging rate\t{number / measured.first:.0f} events/s as the cache is now")
    typer.echo(f"\t{number / measured.second:.0f} events/s once all is cached")
    seconds = events * share * measured.first / number
    typer.echo(f"estimate\t{duration(seconds)} for one process, reading and writing Kafka not counted")


def take(settings: Settings, plan: Plan, previous: PreviousAnswers | None) -> Sample:
    """Up to 512 records of the plan's ranges, from up to 16 places in each."""
    consumer: Any = KafkaConsumer(
        **settings.kafka.client(),
        client_id="colour-worker-replay-sample",
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        max_partition_fetch_bytes=settings.stream.max_record_bytes,
    )
    sample = Sample(0, 0, [])
    try:
        filled = [r for r in plan.ranges if r.end > r.start]
        for r in filled:
            spots = min(_SPOTS, r.end - r.start)
            each = max(1, _SAMPLE // (len(filled) * spots))
            step = (r.end - r.start) / spots
            consumer.assign([TopicPartition(plan.topic, r.partition)])
            for spot in range(spots):
                start = r.start + int(spot * step)
                piece = Range(partition=r.partition, start=start, end=r.start + int((spot + 1) * step))
                _read(consumer, piece, each, plan=plan, previous=previous, sample=sample)
    finally:
        consumer.close(autocommit=False)
    return sample


def _read(
    consumer: Any, piece: Range, most: int, *, plan: Plan, previous: PreviousAnswers | None, sample: Sample
) -> None:
    """Add the first records of ``piece`` to the sample."""
    partition = TopicPartition(plan.topic, piece.partition)
    selection = plan.selection
    consumer.seek(partition, piece.start)
    found, reached, deadline = 0, piece.start, time.monotonic() + _PATIENCE
    while found < most and reached < piece.end and time.monotonic() < deadline:
        for record in consumer.poll(timeout_ms=200, max_records=most - found).get(partition, ()):
            if record.offset >= piece.end:
                break
            found += 1
            envelope = selection.open(record)
            if envelope is not None and selection.wants(envelope, previous):
                sample.chosen.append(envelope.value)
        reached = min(piece.end, consumer.position(partition))
    sample.offsets += reached - piece.start
    sample.records += found


async def _measure(settings: Settings, plan: Plan, values: list[bytes | None]) -> Measured:
    ours = of_replay(settings, plan.id)
    size = settings.stream.max_batch
    async with service.tagging(ours, partial(PinnedReleases, names=plan.release), BackgroundTriton) as models:
        await models.releases.current()
        hits, misses = photo_lookups()
        started = time.perf_counter()
        outcomes: list[Outcome] = []
        for at in range(0, len(values), size):
            outcomes += await models.tagger.tag(values[at : at + size])
        between = time.perf_counter()
        now_hits, now_misses = photo_lookups()
        for at in range(0, len(values), size):
            await models.tagger.tag(values[at : at + size])
        ended = time.perf_counter()
    kinds = Counter(_kind(outcome) for outcome in outcomes)
    return Measured(now_hits - hits, now_misses - misses, between - started, ended - between, kinds)


def _kind(outcome: Outcome) -> str:
    if isinstance(outcome, Labelled):
        return "labelled" if outcome.certain else "uncertain"
    return f"{type(outcome).__name__.lower()} ({outcome.reason.value})"
