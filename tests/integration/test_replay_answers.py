"""What ``colour-worker replay`` answers, where, and by which release; on real servers (stand-in models)."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from deploy.local.kafka import KafkaServer
from deploy.local.photos import PhotoServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import STANDIN, Workers
from tests.support.replaying import answers, moves, outcomes, places, records, replay, send
from tests.support.worker_process import Deployment
from worker.colours import Colour
from worker.events import ListingColoured

Make = Callable[..., Workers]


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
    assert re.search(r"estimate\t\d+:\d\d:\d\d", first)
    again = replay(deployment, "--from", "0", "--dry-run")
    assert "cache coverage\t100.0% of photos" in again
    assert records(kafka.bootstrap, deployment.coloured) == []
    assert records(kafka.bootstrap, f"{deployment.coloured}.replays") == []


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
