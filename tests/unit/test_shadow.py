"""The shadow goes on, whatever becomes of one of its batches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from kafka import TopicPartition
from prometheus_client import REGISTRY

from tests.unit.test_publication import RELEASE, Record, labelled
from worker.models import Releases, Shadowing
from worker.settings import ShadowSettings, TritonSettings
from worker.shadow.record import ListingShadowed
from worker.shadow.shadow import Shadow
from worker.shadow.sidebyside import SideBySide
from worker.shadow.writer import Writer
from worker.stream.envelope import Envelope
from worker.stream.inflight import Item
from worker.stream.transactions import Answer
from worker.tagger import Outcome, Tagger

CANDIDATE = replace(RELEASE, head=replace(RELEASE.head, version="4"))


class Scripted:
    """A candidate that answers everything, and a writer that breaks first and writes then."""

    shadowing = Shadowing(CANDIDATE, 1)

    def __init__(self) -> None:
        self.tried = 0
        self.written = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def tag(self, values: Sequence[bytes | None]) -> list[Outcome]:
        return [replace(labelled(), release=CANDIDATE)] * len(values)

    def write(self, _records: Sequence[ListingShadowed]) -> None:
        self.tried += 1
        if self.tried == 1:
            raise AssertionError("a library that contradicts itself")
        self._loop.call_soon_threadsafe(self.written.set)


def counted(result: str) -> float:
    """Sampled events with this end, so far."""
    return REGISTRY.get_sample_value("colour_shadow_events_total", {"result": result}) or 0.0


async def test_an_error_that_nobody_expects_costs_the_shadow_one_batch() -> None:
    scripted = Scripted()
    shadow = Shadow(
        ShadowSettings(pause=0.001),
        releases=cast("Releases", scripted),
        tagger=cast("Tagger", scripted),
        triton=SideBySide(TritonSettings()),
        writer=cast("Writer", scripted),
    )
    item = Item(TopicPartition("created", 3), 41, Envelope.open(Record(), retried=False))
    failed = counted("failed")
    working = asyncio.create_task(shadow.run())
    async with asyncio.timeout(10):
        while not scripted.written.is_set():
            shadow.offer([Answer(item, labelled(), None)])
            await asyncio.sleep(0.01)
    assert counted("failed") == failed + 1
    assert not working.done()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
