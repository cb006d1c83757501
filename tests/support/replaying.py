"""``colour-worker replay`` as a child process, and listings whose answers are known."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.support.worker_process import Deployment

COMMAND = [str(Path(sys.executable).with_name("colour-worker")), "replay"]


class Replay:
    """One process of a replay; ``kill`` it, or ``wait`` for its end."""

    def __init__(self, deployment: Deployment, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._log = deployment.folder / f"replay-{uuid.uuid4().hex[:6]}.log"
        self._output: list[str] = []
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                env={**deployment.environment(), **(env or {})},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._output += self.process.stdout.readlines()

    @property
    def notes(self) -> str:
        """What it said on standard error."""
        return self._log.read_text(errors="replace")

    def wait(self, timeout: float = 120, *, code: int = 0) -> str:
        """Its standard output, once it has ended with ``code``."""
        try:
            ended = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the replay has not ended within {timeout} s:\n{self.notes[-4000:]}") from None
        self._reading.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        assert ended == code, f"{ended}:\n{self.notes[-4000:]}"
        return "".join(self._output)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reading.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


def replay(deployment: Deployment, *arguments: str, timeout: float = 120, code: int = 0, **env: str) -> str:
    """Run one to its end; its standard output."""
    process = Replay(deployment, *arguments, env=env)
    try:
        return process.wait(timeout, code=code)
    finally:
        process.kill()


def outcomes(output: str) -> dict[str, int]:
    """The first table of a summary."""
    rows = [line.split("\t") for line in output.splitlines()]
    start = rows.index(["outcome", "events", "share"])
    return {row[0]: int(row[1]) for row in rows[start + 1 : start + 7]}


def moves(output: str) -> dict[tuple[str, str], int]:
    """The grid of a summary: (before, now) -> events; kept labels are not among them."""
    rows = [line.split("\t") for line in output.splitlines()]
    heads = [row for row in rows if row[0] == "before \\ now"]
    if not heads:
        return {}
    return {
        (row[0], now): int(number)
        for row in rows[rows.index(heads[0]) + 1 :]
        for now, number in zip(heads[0][1:], row[1:], strict=True)
        if int(number) and row[0] != now
    }


def records(bootstrap: str, topic: str) -> list[Any]:
    """All records of a topic up to its present end, as ``read_committed`` readers see them."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        group_id=None,
    )
    try:
        partitions = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        ends = _high_watermarks(bootstrap, partitions)
        found: list[Any] = []
        deadline = time.monotonic() + 60
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            assert time.monotonic() < deadline
            found += [record for batch in consumer.poll(200).values() for record in batch]
        return found
    finally:
        consumer.close()


def _high_watermarks(bootstrap: str, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Where partitions end for everybody.

    A ``read_committed`` consumer would name the end of what is settled already, which lies before records whose commit
    was acknowledged and whose markers are still being written.
    """
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    try:
        ends: dict[TopicPartition, int] = consumer.end_offsets(partitions) if partitions else {}
        return ends
    finally:
        consumer.close()


def answers(deployment: Deployment, run: str, topic: str | None = None) -> list[dict[str, Any]]:
    """The outputs of one run."""
    found = [json.loads(record.value) for record in records(deployment.bootstrap, topic or deployment.coloured)]
    return [answer for answer in found if answer["run"] == run]


def places(found: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """(partition, offset) of the events that outputs answer, sorted."""
    return sorted((answer["source"]["partition"], answer["source"]["offset"]) for answer in found)


def send(
    deployment: Deployment, found: list[dict[str, Any]], *, partition: int = 0, at: datetime | None = None
) -> None:
    """Publish listings to one partition, with a given timestamp."""
    producer = KafkaProducer(bootstrap_servers=deployment.bootstrap)
    milliseconds = None if at is None else int(at.timestamp() * 1000)
    for event in found:
        producer.send(
            deployment.created, key=event["listing_id"].encode(), value=json.dumps(event).encode(),
            partition=partition, timestamp_ms=milliseconds,
        )  # fmt: skip
    producer.flush(30)
    producer.close()
