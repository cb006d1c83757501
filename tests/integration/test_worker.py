"""The main job on real servers: events in, colours out."""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from PIL import Image, ImageCms

from deploy.local.kafka import KafkaServer
from deploy.local.photos import PhotoServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.waiting import wait_for
from worker.events import ListingColoured

Make = Callable[..., Workers]


def host(photos: PhotoServer, name: str, data: bytes) -> dict[str, str]:
    """Put a file where the photo host serves it, under a name of this test's own."""
    unique = f"{uuid.uuid4().hex[:8]}-{name}"
    (photos.folder / unique).write_bytes(data)
    return {"url": f"{photos.url}/{unique}"}


def test_every_event_is_answered_once_the_broken_ones_with_their_reason(
    kafka: KafkaServer, redis: RedisServer, triton: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, triton, photos)
    workers.start()
    good = host(photos, "red.jpg", events.photo())
    sound = events.photo()
    published: list[dict[str, Any] | tuple[str, bytes]] = [
        events.listing("by-url", good),
        events.listing("inline", events.inline(events.photo((20, 60, 200)))),
        events.listing("three-of-five", *(host(photos, f"{i}.png", events.photo(container="PNG")) for i in range(5))),
        events.listing("one-of-two", {"url": f"{photos.url}/nothing-here.jpg"}, good),
        events.listing("silent", good, title="", description=""),
        events.listing("text-file", host(photos, "notes.jpg", b"This is no photo at all.")),
        events.listing("truncated", host(photos, "cut.jpg", sound[: len(sound) // 2])),
        events.listing("private", {"url": "http://169.254.169.254/latest/meta-data"}),
        events.listing("not-found", {"url": f"{photos.url}/missing.jpg"}),
        events.listing("no-photo"),
        ("malformed", b'{"schema": "listing.created.v1", '),
        ("not-an-event", json.dumps({"schema": "listing.deleted.v1"}).encode()),
    ]
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, published)
        answers = reader.all_of(keys)

    assert answers.duplicates == {}
    assert answers.reasons == {
        "text-file": "not_an_image",
        "truncated": "truncated_image",
        "private": "blocked_address",
        "not-found": "photo_not_found",
        "no-photo": "no_photo",
        "malformed": "malformed_json",
        "not-an-event": "invalid_event",
    }
    coloured = answers.by_listing()
    assert coloured.keys() == {"by-url", "inline", "three-of-five", "one-of-two", "silent"}
    assert {name: answer["images_used"] for name, answer in coloured.items()} == {
        "by-url": 1, "inline": 1, "three-of-five": 3, "one-of-two": 1, "silent": 1,
    }  # fmt: skip
    assert [name for name, answer in coloured.items() if not answer["text_used"]] == ["silent"]


def test_a_batch_that_waits_for_a_silent_host_keeps_no_later_one_from_being_computed(
    kafka: KafkaServer, redis: RedisServer, triton: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(
        kafka, redis, triton, photos, COLOUR_IMAGES__FIRST_BYTE_TIMEOUT="60", COLOUR_IMAGES__TOTAL_TIMEOUT="60"
    )
    worker = workers.start()
    created = workers.deployment.created
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/photo.jpg"
        events.publish(kafka.bootstrap, created, [events.listing("stuck", {"url": address})])
        wait_for(lambda: worker.metric("colour_batches_in_flight") == 1, "the first batch began")
        events.publish(kafka.bootstrap, created, [events.listing("next", events.inline(events.photo()))])
        wait_for(lambda: worker.metric("colour_stage_seconds_count", stage="head") == 1, "the second one was computed")
        assert worker.metric("colour_batches_in_flight") == 2


def test_a_group_forms_once_when_a_worker_starts(
    kafka: KafkaServer, redis: RedisServer, triton: TritonServer, make_workers: Make
) -> None:
    """Or what was read until it forms again is refused, and read again. (The first group of a broker forms slowly.)"""
    for workers in (make_workers(kafka, redis, triton), make_workers(kafka, redis, triton)):
        worker = workers.start()
        with workers.reader() as reader:
            for name in ("first", "second", "third"):
                events.publish(kafka.bootstrap, workers.deployment.created, [events.listing(name)])
                reader.all_of([name])
        assert kafka.log.read_text().count(f"Stabilized group {workers.deployment.name} ") == 1
        assert worker.metric("colour_batch_size_count") == 3


def test_an_output_keeps_the_contract_and_names_the_record_it_answers(
    kafka: KafkaServer, redis: RedisServer, triton: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, triton)
    workers.start()
    with workers.reader() as reader:
        events.publish(
            kafka.bootstrap, workers.deployment.created, [events.listing("one", events.inline(events.photo()))]
        )
        answer = reader.all_of(["one"]).coloured[0]
    parsed = ListingColoured.model_validate(answer)
    assert parsed.event_id == "event-one"
    assert parsed.source.topic == workers.deployment.created
    assert parsed.run == "live"
    assert parsed.top[0].colour is parsed.colour
    assert parsed.top[0].probability >= parsed.top[1].probability >= parsed.top[2].probability


def test_a_retry_waits_for_the_photo_that_comes_late(
    kafka: KafkaServer, redis: RedisServer, triton: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, triton, photos, COLOUR_STREAM__RETRY_DELAYS="[1, 2, 600]")
    worker = workers.start()
    late = f"{uuid.uuid4().hex}.jpg"
    with workers.reader() as reader:
        events.publish(
            kafka.bootstrap,
            workers.deployment.created,
            [
                events.listing("late", {"url": f"{photos.url}/{late}"}),
                events.listing("prompt", events.inline(events.photo())),
            ],
        )
        reader.until(lambda answers: "prompt" in answers.counts)
        assert "late" not in reader.answers.counts
        (photos.folder / late).write_bytes(events.photo())
        answers = reader.all_of(["late"])
    assert answers.by_listing()["late"]["source"]["topic"] == workers.deployment.created
    assert worker.metric("colour_outcomes_total", outcome="postponed") >= 1


def test_a_dead_letter_holds_the_original_and_its_history(
    kafka: KafkaServer, redis: RedisServer, triton: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, triton, photos)
    workers.start()
    event = events.listing("gone", {"url": f"{photos.url}/gone.jpg?token=secret"})
    with workers.reader() as reader:
        events.publish(kafka.bootstrap, workers.deployment.created, [event])
        [(key, value, headers)] = reader.all_of(["gone"]).dead
    assert (key, json.loads(value or b"")) == ("gone", event)
    assert headers["colour-attempts"] == "3"
    assert headers["colour-source-topic"] == workers.deployment.created
    assert "secret" not in headers["colour-message"]


def test_the_same_photo_is_encoded_once_and_then_answered_from_redis(
    kafka: KafkaServer, redis: RedisServer, triton: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, triton)
    worker = workers.start()
    photo = events.inline(events.photo((11, 99, uuid.uuid4().int % 256), side=100 + uuid.uuid4().int % 100))
    with workers.reader() as reader:
        for name in ("first", "second"):
            events.publish(kafka.bootstrap, workers.deployment.created, [events.listing(name, photo, title="Сумка")])
            reader.all_of([name])
        first, second = (reader.answers.by_listing()[name] for name in ("first", "second"))
    assert first["top"] == second["top"]
    assert worker.metric("colour_cache_lookups_total", kind="image", result="hit") == 1
    assert worker.metric("colour_cache_lookups_total", kind="image", result="miss") == 1


def test_without_redis_everything_is_answered_all_the_same(
    kafka: KafkaServer, triton: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, triton, COLOUR_REDIS__URL="redis://127.0.0.1:1/0")
    workers.start()
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, events.many(40))
        assert len(reader.all_of(keys).coloured) == 40


def test_sigterm_drains_leaves_the_group_and_loses_nothing(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    worker = workers.start()
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, events.many(600))
        reader.until(lambda answers: len(answers.coloured) > 50)
        assert worker.terminate(timeout=10) == 0
        assert members(kafka, workers.deployment.name) == 0
        workers.start()
        answers = reader.all_of(keys)
    assert answers.duplicates == {}


def members(kafka: KafkaServer, group: str) -> int:
    """How many consumers the group has."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        described = admin.describe_groups([group])
        return len(described[group]["members"])
    finally:
        admin.close()


def test_operators_see_lag_stages_and_outcomes(
    kafka: KafkaServer, redis: RedisServer, triton: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, triton, photos)
    worker = workers.start()
    fresh = host(photos, "fresh.jpg", events.photo((1, 2, 3)))
    with workers.reader() as reader:
        events.publish(kafka.bootstrap, workers.deployment.created, [events.listing("one", fresh)])
        reader.all_of(["one"])
    assert worker.healthy()
    for stage in ("fetch", "decode", "cache", "encode", "head", "commit"):
        assert worker.metric("colour_stage_seconds_count", stage=stage) >= 1, stage
    assert worker.metric("colour_outcomes_total") == 1
    assert worker.metric("colour_labels_total") == 1
    assert worker.metric("colour_batch_size_count") == 1
    assert worker.metric("colour_lag", topic=workers.deployment.created) == 0


def test_one_red_in_three_colour_spaces_gets_one_answer(
    kafka: KafkaServer, redis: RedisServer, triton: TritonServer, make_workers: Make, tmp_path: Path
) -> None:
    """A photo's container must not change its colour: JPEG, CMYK JPEG, transparent PNG."""
    red = Image.new("RGB", (160, 160), (200, 30, 40))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    files = {
        "jpeg": encode(red, "JPEG", quality=95, icc_profile=srgb.tobytes()),
        "cmyk": encode(red.convert("CMYK"), "JPEG", quality=95),
        "png": encode(red.convert("RGBA"), "PNG"),
    }  # fmt: skip
    workers = make_workers(kafka, redis, triton)
    workers.start()
    with workers.reader() as reader:
        keys = events.publish(
            kafka.bootstrap,
            workers.deployment.created,
            [events.listing(name, events.inline(data), title="") for name, data in files.items()],
        )
        answers = reader.all_of(keys).by_listing()
    assert len({answer["colour"] for answer in answers.values()}) == 1


def encode(picture: Image.Image, container: str, **options: object) -> bytes:
    """A file's bytes."""
    buffer = io.BytesIO()
    picture.save(buffer, container, **options)
    return buffer.getvalue()


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat, another Kafka client, is not installed here")
@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_events_from_another_client_are_read_whatever_compressed_them(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make, codec: str
) -> None:
    workers = make_workers(kafka, redis, standin)
    workers.start()
    published = events.many(50)
    lines = "".join(f"{event['listing_id']}\t{json.dumps(event)}\n" for event in published)
    subprocess.run(
        ["kcat", "-P", "-b", kafka.bootstrap, "-t", workers.deployment.created, "-K", "\t", "-z", codec],
        input=lines.encode(),
        check=True,
        timeout=30,
    )
    with workers.reader() as reader:
        answers = reader.all_of(event["listing_id"] for event in published)
    assert len(answers.coloured) == 50
