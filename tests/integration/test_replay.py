"""``colour-worker replay`` on a real Kafka, Redis and Triton (stand-in models)."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewPartitions

from deploy.local.kafka import KafkaServer
from deploy.local.photos import PhotoServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import STANDIN, Workers
from tests.support.replaying import Replay, answers, moves, outcomes, places, records, replay
from tests.support.worker_process import Deployment
from worker.colours import Colour
from worker.events import ListingColoured

Make = Callable[..., Workers]


@pytest.fixture
def deployment(kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make) -> Deployment:
    """Topics of this test's own; no live worker."""
    made = make_workers(kafka, redis, standin).deployment
    kafka.create_topics([made.created, made.coloured, made.dead])
    return made


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


def earlier(deployment: Deployment, event: dict[str, Any], offset: int, colour: str, **fields: Any) -> bytes:
    """An answer that was given before."""
    now = datetime.now(UTC)
    return (
        ListingColoured.model_validate(
            {
                "event_id": event["event_id"], "listing_id": event["listing_id"], "decision": "labelled",
                "colour": colour, "colour_ru": "…", "confidence": 0.9, "top": [], "images_used": 1, "text_used": True,
                "release": {"image": "1@a", "text": "1@b", "head": "1@c"}, "run": "live",
                "source": {"topic": deployment.created, "partition": 0, "offset": offset, "timestamp": now},
                "labelled_at": now, **fields,
            }
        )
        .model_dump_json(by_alias=True)
        .encode()
    )  # fmt: skip


def answered_before(deployment: Deployment, before: list[tuple[dict[str, Any], int, str, dict[str, Any]]]) -> None:
    """Write earlier answers: (event, its offset, colour, other fields)."""
    producer = KafkaProducer(bootstrap_servers=deployment.bootstrap)
    for event, offset, colour, fields in before:
        value = earlier(deployment, event, offset, colour, **fields)
        producer.send(deployment.coloured, key=event["listing_id"].encode(), value=value)
    producer.flush(30)
    producer.close()


def test_a_range_of_offsets_is_answered_once_and_names_the_replay(deployment: Deployment) -> None:
    for partition in (0, 1):
        send(deployment, events.many(20), partition=partition)
    output = replay(deployment, "--from", "0:5,1:0", "--to", "0:12,1:3", "--id", "some")
    assert places(answers(deployment, "replay/some")) == [(0, n) for n in range(5, 12)] + [(1, n) for n in range(3)]
    assert sum(outcomes(output).values()) == 10


def test_a_range_of_times_takes_what_was_written_from_then_and_before(deployment: Deployment) -> None:
    for hour in range(4):
        send(deployment, events.many(3), at=datetime(2026, 1, 31, hour, tzinfo=UTC))
    replay(deployment, "--from", "2026-01-31T01:00:00Z", "--to", "2026-01-31T03:00:00Z", "--id", "times")
    assert places(answers(deployment, "replay/times")) == [(0, n) for n in range(3, 9)]


def test_an_empty_range_ends_at_once(deployment: Deployment) -> None:
    send(deployment, events.many(3))
    output = replay(deployment, "--from", "1h", "--to", "2026-01-01T00:00:00Z", "--id", "empty")
    assert sum(outcomes(output).values()) == 0


def test_an_empty_topic_ends_at_once(deployment: Deployment) -> None:
    assert sum(outcomes(replay(deployment, "--from", "0")).values()) == 0


def test_the_end_is_frozen_also_over_a_resume_and_live_work_is_untouched(
    deployment: Deployment, kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    live = workers.deployment
    workers.start()
    with workers.reader() as reader:
        first = events.publish(kafka.bootstrap, live.created, events.many(400))
        reader.all_of(first)
        slow = Replay(live, "--from", "0", "--id", "frozen", "--rate", "20")
        try:
            deadline = time.monotonic() + 60
            while not answers(live, "replay/frozen"):
                assert time.monotonic() < deadline, slow.notes
            later = events.publish(kafka.bootstrap, live.created, events.many(200))
            slow.process.terminate()
            slow.wait(code=75)
        finally:
            slow.kill()
        output = replay(live, "--id", "frozen")
        reader.until(lambda found: set(later) <= found.counts.keys())
    found = answers(live, "replay/frozen")
    assert Counter(answer["listing_id"] for answer in found) == Counter(first)
    assert outcomes(output)["labelled"] + outcomes(output)["uncertain"] == 400
    assert Counter(answer["listing_id"] for answer in answers(live, "live")) == Counter([*first, *later])


def test_transaction_markers_and_aborted_records_at_the_end_do_not_keep_it_waiting(deployment: Deployment) -> None:
    producer = KafkaProducer(bootstrap_servers=deployment.bootstrap, transactional_id=uuid.uuid4().hex)
    producer.init_transactions()
    for number, commit in enumerate((True, False, False)):
        producer.begin_transaction()
        for event in events.many(4):
            value = json.dumps(event).encode()
            producer.send(deployment.created, key=event["listing_id"].encode(), value=value, partition=number % 2)
        producer.flush()
        (producer.commit_transaction if commit else producer.abort_transaction)()
    producer.close()
    output = replay(deployment, "--from", "0", "--id", "markers", timeout=60)
    assert places(answers(deployment, "replay/markers")) == [(0, n) for n in range(4)]
    assert sum(outcomes(output).values()) == 4


def test_an_open_transaction_at_the_start_is_beyond_the_end(deployment: Deployment) -> None:
    send(deployment, events.many(3))
    producer = KafkaProducer(bootstrap_servers=deployment.bootstrap, transactional_id=uuid.uuid4().hex)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(deployment.created, key=b"open", value=b"{}", partition=0).get(10)
    replay(deployment, "--from", "0", "--id", "open", timeout=60)
    assert places(answers(deployment, "replay/open")) == [(0, n) for n in range(3)]
    producer.abort_transaction()
    producer.close()


def test_a_compacted_topic_with_gaps_is_read_to_its_end(deployment: Deployment, kafka: KafkaServer) -> None:
    topic = f"{deployment.name}.compacted"
    kafka.create_topics(
        [topic], partitions=1,
        configs={
            "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01",
            "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "100",
        },
    )  # fmt: skip
    listings = events.many(5)
    for _ in range(6):
        events.publish(kafka.bootstrap, topic, listings)
        time.sleep(0.2)
    deadline = time.monotonic() + 60
    while len(left := records(kafka.bootstrap, topic)) >= 30:
        assert time.monotonic() < deadline, "the broker did not compact"
        time.sleep(1)
        events.publish(kafka.bootstrap, topic, listings[:1])  # only closed segments are compacted
    output = replay(deployment, "--from", "0", "--topic", topic, "--id", "compact", timeout=60)
    found = answers(deployment, "replay/compact")
    assert sum(outcomes(output).values()) == len(found) <= len(left) + 1
    assert {answer["listing_id"] for answer in found} == {event["listing_id"] for event in listings}


def test_partitions_added_meanwhile_are_not_part_of_it(deployment: Deployment, kafka: KafkaServer) -> None:
    send(deployment, events.many(120))
    slow = Replay(deployment, "--from", "0", "--id", "added", "--rate", "40")
    try:
        deadline = time.monotonic() + 60
        while not answers(deployment, "replay/added"):
            assert time.monotonic() < deadline, slow.notes
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        admin.create_partitions({deployment.created: NewPartitions(6)})
        admin.close()
        time.sleep(1)
        send(deployment, events.many(5), partition=5)
        slow.kill()
        replay(deployment, "--id", "added")
    finally:
        slow.kill()
    assert places(answers(deployment, "replay/added")) == [(0, n) for n in range(120)]


def test_changes_only_publishes_what_differs_and_tells_how_labels_moved(deployment: Deployment) -> None:
    red = events.inline(events.photo((220, 20, 30)))
    listings = [events.listing(f"l{n}", red) for n in range(5)]
    send(deployment, listings)
    answered_before(
        deployment,
        [
            (listings[0], 0, "red", {}),
            (listings[1], 1, "burgundy", {}),
            (listings[2], 2, "red", {"decision": "uncertain"}),
            (listings[3], 3, "red", {}),
            (listings[3], 3, "blue", {"run": "replay/older"}),
        ],
    )
    output = replay(deployment, "--from", "0", "--changes-only", "--id", "changes")
    found = answers(deployment, "replay/changes")
    assert {answer["colour"] for answer in found} == {"red"}
    assert places(found) == [(0, 1), (0, 2), (0, 3), (0, 4)]
    assert outcomes(output)["withheld"] == 1
    assert moves(output) == {("burgundy", "red"): 1, ("blue", "red"): 1, ("(none)", "red"): 1}


@pytest.mark.parametrize(
    ("only", "offsets"),
    [(["uncertain"], [2]), (["colour=red"], [0, 2]), (["category=tables"], [1]), (["colour=red", "uncertain"], [2])],
)
def test_only_what_is_selected_is_answered_and_the_rest_is_counted(
    deployment: Deployment, only: list[str], offsets: list[int]
) -> None:
    red = events.inline(events.photo((220, 20, 30)))
    listings = [events.listing(f"l{n}", red, category="tables" if n == 1 else "chairs") for n in range(4)]
    send(deployment, listings)
    answered_before(
        deployment,
        [
            (listings[0], 0, "red", {}),
            (listings[1], 1, "blue", {}),
            (listings[2], 2, "red", {"decision": "uncertain"}),
        ],
    )
    options = [word for one in only for word in ("--only", one)]
    output = replay(deployment, "--from", "0", "--id", "only", *options)
    assert places(answers(deployment, "replay/only")) == [(0, n) for n in offsets]
    assert outcomes(output)["skipped"] == 4 - len(offsets)


def test_dead_letters_are_answered_from_their_originals(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin, photos)
    workers.start()
    name = f"{uuid.uuid4().hex}.jpg"
    with workers.reader() as reader:
        keys = events.publish(
            kafka.bootstrap, workers.deployment.created, [events.listing("late", {"url": f"{photos.url}/{name}"})]
        )
        reader.all_of(keys)
        assert reader.answers.reasons == {"late": "photo_not_found"}
    (photos.folder / name).write_bytes(events.photo())
    replay(workers.deployment, "--from", "1h", "--only", "dead", "--id", "dead")
    [answer] = answers(workers.deployment, "replay/dead")
    assert (answer["listing_id"], answer["source"]["topic"]) == ("late", workers.deployment.created)


def test_a_photo_that_is_gone_goes_to_the_replays_own_dead_letters_and_to_no_retry(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    deployment = make_workers(kafka, redis, standin, photos).deployment
    kafka.create_topics([deployment.created, deployment.coloured, deployment.dead, f"{deployment.name}.retry.1"])
    gone = events.listing("gone", {"url": f"{photos.url}/{uuid.uuid4().hex}.jpg"})
    send(deployment, [gone, events.listing("no-photo"), *events.many(2)])
    output = replay(deployment, "--from", "0", "--id", "gone")
    assert outcomes(output) | {"labelled": 0, "uncertain": 0} == {
        "labelled": 0, "uncertain": 0, "withheld": 0, "postponed": 1, "rejected": 1, "skipped": 0,
    }  # fmt: skip
    letters = records(kafka.bootstrap, f"{deployment.dead}.replay")
    headers = {record.key.decode(): dict(record.headers) for record in letters}
    assert {key: found["colour-reason"] for key, found in headers.items()} == {
        "gone": b"photo_not_found", "no-photo": b"no_photo",
    }  # fmt: skip
    assert {found["colour-run"] for found in headers.values()} == {b"replay/gone"}
    assert records(kafka.bootstrap, f"{deployment.name}.retry.1") == records(kafka.bootstrap, deployment.dead) == []


def test_another_topic_for_the_outputs_leaves_the_live_one_alone(deployment: Deployment, kafka: KafkaServer) -> None:
    send(deployment, events.many(5))
    side = f"{deployment.name}.side"
    replay(deployment, "--from", "0", "--id", "side", "--output-topic", side)
    assert len(answers(deployment, "replay/side", side)) == 5
    assert records(kafka.bootstrap, deployment.coloured) == []


def test_a_dry_run_counts_measures_and_writes_nothing(deployment: Deployment, kafka: KafkaServer) -> None:
    send(deployment, events.many(100))
    first = replay(deployment, "--from", "0", "--dry-run")
    assert "selected\tabout 100 (100.0% of the sample)" in first
    assert "cache coverage\t" in first
    assert "estimate\t0:00:0" in first
    again = replay(deployment, "--from", "0", "--dry-run")
    assert "cache coverage\t100.0% of photos" in again
    assert records(kafka.bootstrap, deployment.coloured) == []
    assert records(kafka.bootstrap, f"{deployment.coloured}.replays") == []


def test_an_id_is_one_replay_other_options_are_refused(deployment: Deployment) -> None:
    send(deployment, events.many(3))
    for _ in range(2):
        output = replay(deployment, "--from", "0", "--id", "one")
        assert outcomes(output)["labelled"] + outcomes(output)["uncertain"] == 3
    replay(deployment, "--from", "1", "--id", "one", code=2)
    replay(deployment, "--id", "another", code=2)
    assert len(answers(deployment, "replay/one")) == 3


def test_a_release_that_is_not_loaded_is_refused_before_anything_is_written(
    deployment: Deployment, kafka: KafkaServer
) -> None:
    send(deployment, events.many(3))
    replay(deployment, "--from", "0", "--release", "head=9", "--id", "nine", code=2)
    assert records(kafka.bootstrap, f"{deployment.coloured}.replays") == []


@pytest.mark.usefixtures("triton_installed")
def test_another_release_relabels_from_the_cache_without_photos_and_the_active_one_stays(
    kafka: KafkaServer,
    redis: RedisServer,
    photos: PhotoServer,
    make_workers: Make,
    tmp_path: Path,
) -> None:
    with two_heads(tmp_path) as triton:
        deployment = make_workers(kafka, redis, photos, triton).deployment
        kafka.create_topics([deployment.created, deployment.coloured, deployment.dead])
        name = f"{uuid.uuid4().hex}.jpg"
        (photos.folder / name).write_bytes(events.photo((220, 20, 30)))
        send(deployment, [events.listing(f"l{n}", {"url": f"{photos.url}/{name}"}) for n in range(3)])
        replay(deployment, "--from", "0", "--id", "first")
        (photos.folder / name).unlink()
        output = replay(deployment, "--from", "0", "--id", "second", "--release", "head=2")
        third = replay(deployment, "--from", "0", "--id", "third", "--no-compare")
    first, second = answers(deployment, "replay/first"), answers(deployment, "replay/second")
    assert {(answer["colour"], answer["release"]["head"]) for answer in first} == {("red", "1@standin-head")}
    assert {(answer["colour"], answer["release"]["head"]) for answer in second} == {("white", "2@standin-head-2")}
    assert moves(output) == {("red", "white"): 3}
    assert outcomes(third)["labelled"] == 3
    assert {answer["release"]["head"] for answer in answers(deployment, "replay/third")} == {"1@standin-head"}


@contextmanager
def two_heads(folder: Path) -> Iterator[TritonServer]:
    """The stand-in, with a second head that calls every colour by another's name."""
    models = folder / "standin"
    shutil.copytree(STANDIN, models, ignore=shutil.ignore_patterns("__pycache__"))
    head = models / "colour_head"
    shutil.copytree(head / "1", head / "2")
    text = (head / "config.pbtxt").read_text().replace("versions: [1]", "versions: [1, 2]")
    labels = [colour.value for colour in Colour]
    swapped = {"red": "white", "white": "red"}
    values = {
        "fingerprint": "standin-head-2", "image_fingerprint": "standin-image", "text_fingerprint": "standin-text",
        "labels": ",".join(swapped.get(label, label) for label in labels), "threshold": "0.5",
    }  # fmt: skip
    assert f'"{",".join(labels)}"' in text
    for name, value in values.items():
        text += f'parameters {{ key: "2/{name}" value {{ string_value: "{value}" }} }}\n'
    (head / "config.pbtxt").write_text(text)
    server = TritonServer(folder / "triton", repository=models)
    server.start()
    try:
        yield server
    finally:
        server.stop()
