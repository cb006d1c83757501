"""Strangers' events on the real stream: the worst ones cost the others nothing, and the worker no memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from deploy.local.kafka import KafkaServer
from deploy.local.photos import PhotoServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support.fixtures import Workers

pytestmark = pytest.mark.faults
Make = Callable[..., Workers]

MARK = "pAyLoAd-7f3a"
"""Stands in every poisoned event; it must not stand in a header or a log line."""


def event(name: str, **fields: Any) -> bytes:
    """A valid event but for ``fields``."""
    whole = events.listing(name, events.inline(events.photo()), title=MARK)
    return json.dumps(whole | fields).encode()


def poison() -> dict[str, tuple[bytes, str]]:
    """Name -> value, and the reason for which it must be given up."""
    huge = base64.b64encode(MARK.encode() * 600_000).decode()[:8_000_000]  # with the rest just below 8 MiB
    return {
        "invalid-utf-8": (event("x").replace(MARK.encode(), MARK.encode() + b"\xff\xfe"), "malformed_json"),
        "lone-surrogate": (event("x").replace(MARK.encode(), MARK.encode() + b"\\ud800"), "malformed_json"),
        "bare-nul": (event("x").replace(MARK.encode(), MARK.encode() + b"\x00"), "malformed_json"),
        "nul-in-the-id": (event("a\x00b"), "invalid_event"),
        "deep-lists": (b"[" * 200_000 + MARK.encode(), "malformed_json"),
        "deep-objects": (b'{"a":' * 100_000 + MARK.encode(), "malformed_json"),
        "deep-in-an-unknown-field": (event("x", extra="?").replace(b'"?"', b"[" * 50_000), "malformed_json"),
        "empty": (b"", "malformed_json"),
        "only-a-string": (json.dumps(MARK).encode(), "invalid_event"),
        "wrong-types": (event("x", title=7, images={"url": MARK}), "invalid_event"),
        "huge-title": (event("x", title=MARK * 100_000), "invalid_event"),
        "a-hundred-and-one-photos": (event("x", images=[{"url": f"http://{MARK}.example/"}] * 101), "invalid_event"),
        "huge-base64": (event("x", images=[{"data": huge}]), "not_an_image"),
        "no-base64": (event("x", images=[{"data": f"{MARK}*!"}]), "invalid_event"),
        "password-in-an-address": (
            event("x", images=[{"url": f"http://user:{MARK}@169.254.169.254/photo.jpg?token={MARK}"}]),
            "invalid_url",
        ),
        "private-address": (event("x", images=[{"url": f"http://169.254.169.254/a.jpg?k={MARK}"}]), "blocked_address"),
        "not-an-address": (event("x", images=[{"url": f"gopher://example.org/photo.jpg?k={MARK}"}]), "invalid_url"),
    }  # fmt: skip


def test_poisoned_events_among_five_hundred_cost_the_others_nothing(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, photos: PhotoServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin, photos)
    worker = workers.start()
    poisoned = poison()
    healthy = events.many(500 - len(poisoned))
    mixed: list[dict[str, Any] | tuple[str, bytes]] = list(healthy)
    for position, (name, (value, _)) in enumerate(poisoned.items()):
        mixed.insert(position * 30, (name, value))
    gone = events.listing("gone", {"url": f"{photos.url}/gone.jpg?token={MARK}"}, title=MARK)
    with workers.reader() as reader:
        keys = events.publish(kafka.bootstrap, workers.deployment.created, [*mixed, gone])
        answers = reader.all_of(keys, timeout=120)

    assert answers.duplicates == {}
    expected = {name: reason for name, (_, reason) in poisoned.items()} | {"gone": "photo_not_found"}
    assert answers.reasons == expected
    assert {answer["listing_id"] for answer in answers.coloured} == {listing["listing_id"] for listing in healthy}
    kept = {key: value for key, value, _ in answers.dead}
    assert {name: kept[name] for name in poisoned} == {name: value for name, (value, _) in poisoned.items()}
    assert worker.metric("colour_outcomes_total") >= 501

    for key, _, headers in answers.dead:
        assert MARK not in str(headers), key
        assert len(str(headers)) < 2_000, key
    said = worker.log.read_text()
    assert MARK not in said
    assert base64.b64encode(MARK.encode()).decode()[:12] not in said
    assert max(map(len, said.splitlines())) < 4_000
    assert worker.terminate() == 0


def test_a_field_that_is_given_twice_counts_once(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, make_workers: Make
) -> None:
    workers = make_workers(kafka, redis, standin)
    workers.start()
    doubled = event("first").replace(b'"listing_id": "first"', b'"listing_id": "other", "listing_id": "first"')
    assert doubled.count(b"listing_id") == 2
    with workers.reader() as reader:
        answers = reader.all_of(events.publish(kafka.bootstrap, workers.deployment.created, [("first", doubled)]))
    assert [answer["listing_id"] for answer in answers.coloured] == ["first"]


@pytest.mark.parametrize(
    ("count", "side", "answered"),
    [
        # Some thousands show whether what waits takes memory; the rest would only take time.
        pytest.param(100_000, 64, 4_000, id="many events", marks=[pytest.mark.long, pytest.mark.timeout(400)]),
        pytest.param(150, 700, 150, id="events of two megabytes"),
    ],
)
def test_waiting_events_do_not_grow_the_worker(
    *,
    count: int,
    side: int,
    answered: int,
    kafka: KafkaServer,
    redis: RedisServer,
    standin: TritonServer,
    make_workers: Make,
) -> None:
    workers = make_workers(kafka, redis, standin)
    kafka.create_topics([workers.deployment.created])
    picture = events.inline(events.photo(side=side, container="BMP" if side > 100 else "JPEG"))
    waiting = (events.listing(f"n-{number}", picture) for number in range(count))
    events.publish(kafka.bootstrap, workers.deployment.created, waiting)
    worker = workers.start()
    with workers.reader() as reader:
        reader.until(lambda answers: len(answers.coloured) >= answered, timeout=150)
    assert worker.peak_megabytes() < 600
