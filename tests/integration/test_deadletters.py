"""``colour-worker deadletters`` on a real Kafka, with dead letters that a real worker wrote."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from deploy.local.kafka import KafkaServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.worker_process import Deployment

Make = Callable[..., Workers]
COMMAND = [str(Path(sys.executable).with_name("colour-worker")), "deadletters"]


def run(deployment: Deployment, *arguments: str) -> str:
    """Run a command to its end; its standard output."""
    done = subprocess.run(
        [*COMMAND, *arguments], env=deployment.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(output: str) -> list[dict[str, str]]:
    """Tab-separated lines under a line of names."""
    names, *lines = [line.split("\t") for line in output.splitlines()]
    return [dict(zip(names, line, strict=True)) for line in lines]


def published(deployment: Deployment) -> list[Any]:
    """All records of the topic of new listings, as ``read_committed`` readers see them."""
    consumer = KafkaConsumer(
        bootstrap_servers=deployment.bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        group_id=None,
    )
    try:
        partitions = [TopicPartition(deployment.created, n) for n in consumer.partitions_for_topic(deployment.created)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found: list[Any] = []
        deadline = time.monotonic() + 30
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            assert time.monotonic() < deadline
            found += [record for records in consumer.poll(200).values() for record in records]
        return found
    finally:
        consumer.close()


def given_up(workers: Workers, *broken: dict[str, Any] | tuple[str, bytes]) -> None:
    """Let a worker give these events up, and stop it."""
    worker = workers.start()
    with workers.reader() as reader:
        reader.all_of(events.publish(workers.deployment.bootstrap, workers.deployment.created, broken))
    assert worker.terminate() == 0


def test_dead_letters_are_listed_shown_and_counted(
    kafka: KafkaServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, standin, COLOUR_REDIS__URL="")
    given_up(
        workers,
        ("broken-1", b'{"broken'),
        ("broken-2", b"\xff\x00\x1b[31m" + b"x" * 5000),
        ("esc\x1b[31m", b"not json"),
        events.listing("bare"),
    )
    deployment = workers.deployment

    listed = rows(run(deployment, "list"))
    assert {row["listing"]: row["reason"] for row in listed} == {
        "broken-1": "malformed_json",
        "broken-2": "malformed_json",
        "esc\\x1b[31m": "malformed_json",
        "bare": "no_photo",
    }
    assert {row["redriven"] for row in listed} == {"no"}
    assert [row["listing"] for row in rows(run(deployment, "list", "--reason", "no_photo"))] == ["bare"]
    assert [row["listing"] for row in rows(run(deployment, "list", "--listing", "broken-1"))] == ["broken-1"]
    assert len(rows(run(deployment, "list", "--since", "1h", "--limit", "2"))) == 2
    assert rows(run(deployment, "list", "--until", "1h")) == []
    assert rows(run(deployment, "list", "--since", "2100-01-01T00:00:00Z")) == []

    counted = rows(run(deployment, "stats"))
    assert [(row["reason"], row["dead letters"]) for row in counted] == [("malformed_json", "3"), ("no_photo", "1")]

    [place] = [row["dead letter"] for row in listed if row["listing"] == "broken-2"]
    shown = run(deployment, "show", place, "--bytes", "20")
    assert "reason: malformed_json" in shown
    assert f"source: {deployment.created} " in shown
    assert "\\xff\\x00\\x1b[31mxxxxxxxxxxxxx… (5007 bytes)" in shown
    assert "\x1b" not in shown
    raw = subprocess.run(
        [*COMMAND, "show", place, "--raw"], env=deployment.environment(), capture_output=True, timeout=60, check=True
    )
    assert raw.stdout == b"\xff\x00\x1b[31m" + b"x" * 5000

    nothing = subprocess.run(
        [*COMMAND, "show", "0:999999"],
        env=deployment.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "no dead letter" in nothing.stderr


def test_redrive_puts_originals_back_as_they_were_and_only_once(
    kafka: KafkaServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, standin, COLOUR_REDIS__URL="")
    deployment = workers.deployment
    given_up(workers, *[(f"key-{i}", b"{broken %d" % i) for i in range(5)], events.listing("bare"))
    theirs = [("trace", b"\x00\x01"), ("colour-reason", b"forged by a publisher")]
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    producer.send(deployment.created, key=b"with-headers", value=b"{broken", headers=theirs, partition=3).get(10)
    producer.close()
    given_up(workers, ("last", b"{broken"))
    before = Counter((record.key, record.value) for record in published(deployment))
    assert before.total() == 8

    assert run(deployment, "redrive", "--dry-run").startswith("8 would be put back")
    assert Counter((record.key, record.value) for record in published(deployment)) == before
    assert run(deployment, "redrive", "--reason", "no_photo").startswith("1 put back")
    assert run(deployment, "redrive", "--limit", "3").startswith("3 put back")
    assert run(deployment, "redrive").startswith("4 put back")
    assert run(deployment, "redrive").startswith("0 put back")
    assert run(deployment, "redrive").endswith("8 were put back before\n")

    records = published(deployment)
    assert Counter((record.key, record.value) for record in records) == Counter(dict.fromkeys(before, 2))
    first, again = [record for record in records if record.key == b"with-headers"]
    assert [tuple(header) for header in again.headers] == theirs
    assert (first.partition, again.partition) == (3, 3)
    assert {row["redriven"] for row in rows(run(deployment, "list"))} == {"yes"}

    # They are given up anew, with one attempt each: the new letters can be put back again.
    given_up(workers, ("marker", b"{broken"))
    listed = rows(run(deployment, "list", "--limit", "100"))
    assert Counter(row["redriven"] for row in listed) == {"yes": 8, "no": 9}
    assert {row["attempts"] for row in listed} == {"1"}
    assert run(deployment, "redrive", "--dry-run").startswith("9 would be put back")


@pytest.mark.timeout(400)
def test_redrive_killed_or_started_twice_puts_every_letter_back_once(
    kafka: KafkaServer, standin: TritonServer, make_workers: Make, tmp_path: Path
) -> None:
    workers = make_workers(kafka, standin, COLOUR_REDIS__URL="")
    deployment = workers.deployment
    count = 3000
    given_up(workers, *[(f"key-{i}", b"{broken" + b"x" * 500) for i in range(count)])

    def start() -> subprocess.Popen[bytes]:
        log = (tmp_path / "redrive.log").open("ab")
        with log:
            return subprocess.Popen([*COMMAND, "redrive"], env=deployment.environment(), stdout=log, stderr=log)

    def copies() -> int:
        return len(published(deployment)) - count

    killed_at = []
    for _ in range(3):  # kill -9 in the middle of its transactions
        redriving = start()
        at_start = copies()
        deadline = time.monotonic() + 40
        while copies() <= at_start and redriving.poll() is None:
            assert time.monotonic() < deadline
        redriving.kill()
        redriving.wait(10)
        killed_at.append(copies())
    assert 0 < killed_at[0] < count, killed_at
    both = [start(), start()]  # one fences the other
    try:
        codes = sorted(process.wait(90) for process in both)
    finally:
        for process in both:
            process.kill()
            process.wait(10)
    assert codes[0] == 0, (tmp_path / "redrive.log").read_text()[-3000:]
    run(deployment, "redrive")
    assert set(Counter(record.key for record in published(deployment)).values()) == {2}


def test_redrive_leaves_originals_that_are_not_all_kept_where_they_are(
    kafka: KafkaServer, standin: TritonServer, make_workers: Make
) -> None:
    """A tombstone whose headers were too large would else be put back without them."""
    workers = make_workers(kafka, standin, COLOUR_REDIS__URL="", COLOUR_STREAM__MAX_RECORD_BYTES="100000")
    deployment = workers.deployment
    kafka.create_topics([deployment.created], partitions=1)  # of others: it takes 16 MiB
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    large = [("trace", b"t" * 200_000)]
    producer.send(deployment.created, key=b"tombstone", value=None, headers=large).get(10)
    producer.send(deployment.created, key=b"large", value=b"{" * 200_000).get(10)
    producer.close()
    given_up(workers, ("small", b"{broken"))

    said = run(deployment, "redrive")
    assert said.startswith("1 put back")
    assert said.endswith("2 were too large to be kept: read them at their source offsets\n")
    again = Counter(record.key for record in published(deployment))
    assert again == {b"tombstone": 1, b"large": 1, b"small": 2}
    [listed] = rows(run(deployment, "list", "--listing", "tombstone"))
    assert "with 0 bytes of value" in run(deployment, "show", listed["dead letter"])
