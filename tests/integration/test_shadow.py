"""A candidate beside the active release on real servers: it answers its share, and live feels nothing of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from deploy.local.kafka import KafkaServer
from deploy.local.triton import TritonServer
from tests.support import events
from tests.support import release_copies as copies
from tests.support.fixtures import Workers
from tests.support.release_copies import FIRST, SECOND
from tests.support.waiting import wait_for
from tests.support.worker_process import Deployment, WorkerProcess
from worker.models.activation import Operator
from worker.models.control import Control
from worker.models.repository import Repository
from worker.models.shadowing import SHADOW, Shadowing, written_shadow
from worker.settings import TritonSettings
from worker.shadow.record import ListingShadowed

Make = Callable[..., Workers]
Serving = tuple[TritonServer, Repository]

_NO_CACHE = {"COLOUR_REDIS__URL": ""}
_PATIENT = {"COLOUR_SHADOW__TIMEOUT": "100", "COLOUR_SHADOW__QUEUE": "1000"}
"""Room and time for every sampled listing, on whatever machine."""

_HASTY = {"COLOUR_SHADOW__TIMEOUT": "1", "COLOUR_SHADOW__PAUSE": "1", "COLOUR_SHADOW__QUEUE": "8"}
_COLOURS = ("orange", "red", "yellow", "purple", "green", "blue", "turquoise", "brown", "pink", "burgundy")
_SLOW = "4"
_BROKEN = "5"
_ROLLED = "6"
_ABSENT = "7"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, triton_installed: None) -> Iterator[Serving]:
    """Three good releases, and heads that are slow (4), broken (5), wrong by one colour (6) or not loaded (7)."""
    folder = tmp_path_factory.mktemp("shadow")
    repository = copies.copy(folder / "models", served=True)
    values = {name: repository.config("colour_head").parameters[f"1/{name}"].string_value
              for name in ("labels", "image_fingerprint", "text_fingerprint", "threshold")}  # fmt: skip
    bodies = {
        _SLOW: "import time\n        time.sleep(3)\n        return super().answer(*inputs)",
        _BROKEN: 'raise RuntimeError("this head answers nothing")',
        _ABSENT: "return super().answer(*inputs)",
        _ROLLED: "return np.roll(super().answer(*inputs), 1, axis=1)",
    }
    for version, body in bodies.items():
        copies.add(repository, "head", version, body, values)
        copies.stamp(repository, "head", version)
    config = repository.config("colour_head")
    config.version_policy.specific.versions[:] = range(1, 7)
    repository.write("colour_head", config)
    triton = TritonServer(folder / "triton", repository=repository.folder)
    triton.start()
    yield triton, repository
    triton.stop()


@pytest.fixture
def serving(server: Serving) -> Iterator[Serving]:
    """The same; nothing is shadowed before and after."""
    yield server
    name_shadow(server, "")


def name_shadow(serving: Serving, value: str) -> None:
    """Name a candidate past the checks of ``models shadow``, as a hand with an editor may; nothing: none."""
    server, repository = serving
    config = repository.config("colour_release")
    config.parameters[SHADOW].string_value = value
    if not value:
        del config.parameters[SHADOW]
    repository.write("colour_release", config)

    async def tell() -> None:
        async with Control(TritonSettings(url=server.grpc)) as control:
            await control.load("colour_release")

    asyncio.run(tell())


def listings(count: int, prefix: str) -> dict[str, dict[str, Any]]:
    """Listing id -> event; the colours of the photos take turns."""
    photos = {name: events.inline(events.photo(copies.PALETTE[name])) for name in _COLOURS}
    made = (events.listing(f"{prefix}-{at:04d}", photos[_COLOURS[at % len(_COLOURS)]]) for at in range(count))
    return {event["listing_id"]: event for event in made}


def shown(listing_id: str) -> str:
    """The colour of a listing's photo."""
    return _COLOURS[int(listing_id.rsplit("-", 1)[1]) % len(_COLOURS)]


def shadowed(bootstrap: str, topic: str, count: int) -> dict[str, ListingShadowed]:
    """The records of a shadow topic by listing, once ``count`` are there; none of them twice."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None)
    found: dict[str, ListingShadowed] = {}
    deadline = time.monotonic() + 60
    try:
        while not (numbers := consumer.partitions_for_topic(topic)):
            assert time.monotonic() < deadline, f"no topic {topic}"
            time.sleep(0.2)
        consumer.assign([TopicPartition(topic, number) for number in numbers])
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} shadow records"
            for batch in consumer.poll(200).values():
                for record in batch:
                    read = ListingShadowed.model_validate_json(record.value)
                    assert read.listing_id not in found
                    assert record.key.decode() == read.listing_id
                    found[read.listing_id] = read
        return found
    finally:
        consumer.close()


def assert_live_is_untouched(worker: WorkerProcess, coloured: list[dict[str, Any]], sent: dict[str, Any]) -> None:
    """Every listing has one answer, of the active release, with the colour of its photo."""
    assert sorted(output["listing_id"] for output in coloured) == sorted(sent)
    assert {output["release"]["head"].split("@")[0] for output in coloured} == {"1"}
    assert {output["run"] for output in coloured} == {"live"}
    assert [output for output in coloured if output["colour"] != shown(output["listing_id"])] == []
    assert worker.metric("colour_unavailable", neighbour="triton") == 0
    assert worker.healthy()


def test_the_candidate_answers_its_share_and_live_answers_are_the_active_release_s(
    kafka: KafkaServer, make_workers: Make, serving: Serving, unique: str
) -> None:
    server, repository = serving

    async def switch_on() -> None:
        async with Control(TritonSettings(url=server.grpc)) as control:
            await Operator(repository, [control], tolerance=0.005).shadow(SECOND, 0.5)

    topic = f"{unique}.shadow"
    workers = make_workers(kafka, server, **_NO_CACHE, **_PATIENT, COLOUR_TOPICS__SHADOW=topic)
    worker = workers.start()
    before = listings(20, "before")
    with workers.reader() as reader:
        reader.all_of(events.publish(kafka.bootstrap, workers.deployment.created, before.values()))
        asyncio.run(switch_on())
        worker.wait_for("shadow_on", timeout=60)
        after = listings(120, "after")
        sampling = Shadowing(repository.release(SECOND), 0.5)
        expected = {listing_id for listing_id in after if sampling.samples(listing_id)}
        answers = reader.all_of(events.publish(kafka.bootstrap, workers.deployment.created, after.values()))
        found = shadowed(kafka.bootstrap, topic, len(expected))
    assert_live_is_untouched(worker, answers.coloured, before | after)
    assert (answers.duplicates, answers.dead) == ({}, [])
    assert found.keys() == expected
    live = answers.by_listing()
    for listing_id, record in found.items():
        assert record.live.colour == record.shadow.colour == shown(listing_id)
        assert record.live.release == repository.release(FIRST).names
        assert record.shadow.release == repository.release(SECOND).names
        # Head 2 is less sure of the same colours.
        assert record.shadow.confidence < record.live.confidence == live[listing_id]["confidence"]
        assert record.source.model_dump(mode="json") == live[listing_id]["source"]
        assert record.live.milliseconds is not None
        assert record.shadow.milliseconds is not None
    # Counted a moment after they can be read.
    wait_for(lambda: worker.metric("colour_shadow_events_total", result="same") == len(expected), "all are counted")
    assert worker.metric("colour_shadow_events_total") == len(expected)
    assert worker.metric("colour_shadow_share") == 0.5
    head = repository.release(FIRST).names.head
    wait_for(lambda: worker.metric("colour_release_answers_total", head=head) == 140, "all are counted")

    name_shadow(serving, "")
    worker.wait_for("shadow_off", timeout=60)
    assert worker.metric("colour_shadow_share") == 0


def test_a_candidate_that_names_other_colours_is_compared_listing_by_listing(
    kafka: KafkaServer, make_workers: Make, serving: Serving, unique: str
) -> None:
    name_shadow(serving, written_shadow({**FIRST, "head": _ROLLED}, 1))
    topic = f"{unique}.shadow"
    workers = make_workers(kafka, serving[0], **_NO_CACHE, **_PATIENT, COLOUR_TOPICS__SHADOW=topic)
    worker = workers.start()
    sent = listings(40, "rolled")
    with workers.reader() as reader:
        answers = reader.all_of(events.publish(kafka.bootstrap, workers.deployment.created, sent.values()))
        found = shadowed(kafka.bootstrap, topic, len(sent))
    assert_live_is_untouched(worker, answers.coloured, sent)
    after = dict(zip(copies.PALETTE, [*list(copies.PALETTE)[1:], "white"], strict=True))
    assert {listing_id: record.shadow.colour.value for listing_id, record in found.items()} == {
        listing_id: after[shown(listing_id)] for listing_id in sent
    }
    wait_for(lambda: worker.metric("colour_shadow_events_total", result="different") == len(sent), "all are counted")


@pytest.mark.parametrize("head", [_SLOW, _BROKEN, _ABSENT])
def test_a_candidate_that_is_slow_or_broken_or_absent_costs_live_nothing(
    kafka: KafkaServer, make_workers: Make, serving: Serving, unique: str, head: str
) -> None:
    name_shadow(serving, written_shadow({**FIRST, "head": head}, 1))
    workers = make_workers(kafka, serving[0], **_NO_CACHE, **_HASTY, COLOUR_TOPICS__SHADOW=f"{unique}.shadow")
    worker = workers.start()
    sent = listings(200, "bad")
    with workers.reader() as reader:
        answers = reader.all_of(events.publish(kafka.bootstrap, workers.deployment.created, sent.values()))
        wait_for(lambda: worker.metric("colour_shadow_events_total", result="failed") > 0, "the candidate has failed")
    assert_live_is_untouched(worker, answers.coloured, sent)
    assert (answers.duplicates, answers.dead) == ({}, [])
    assert worker.metric("colour_shadow_events_total", result="dropped") > 0
    answered = sum(worker.metric("colour_shadow_events_total", result=result) for result in ("same", "different"))
    assert answered == 0
    assert worker.terminate(60) == 0


def test_a_shadow_topic_that_kafka_refuses_costs_live_nothing(
    kafka: KafkaServer, make_workers: Make, serving: Serving
) -> None:
    name_shadow(serving, written_shadow(SECOND, 1))
    workers = make_workers(kafka, serving[0], **_NO_CACHE, **_PATIENT, COLOUR_TOPICS__SHADOW="no such/topic")
    worker = workers.start()
    sent = listings(30, "refused")
    with workers.reader() as reader:
        answers = reader.all_of(events.publish(kafka.bootstrap, workers.deployment.created, sent.values()))
        wait_for(lambda: worker.metric("colour_shadow_events_total", result="unwritten") > 0, "Kafka has refused")
    assert_live_is_untouched(worker, answers.coloured, sent)
    assert answers.duplicates == {}


def test_a_candidate_that_is_no_complete_release_is_passed_over(
    kafka: KafkaServer, make_workers: Make, serving: Serving
) -> None:
    name_shadow(serving, written_shadow({**SECOND, "text": "7"}, 1))
    workers = make_workers(kafka, serving[0], **_NO_CACHE)
    worker = workers.start()
    worker.wait_for("shadow_unusable", timeout=60)
    sent = listings(20, "none")
    with workers.reader() as reader:
        answers = reader.all_of(events.publish(kafka.bootstrap, workers.deployment.created, sent.values()))
    assert_live_is_untouched(worker, answers.coloured, sent)
    assert worker.metric("colour_shadow_events_total") == 0


def test_compare_tells_what_the_records_say_and_shows_the_photos_on_which_they_differ(
    kafka: KafkaServer, make_workers: Make, serving: Serving, unique: str, tmp_path: Path
) -> None:
    name_shadow(serving, written_shadow({**FIRST, "head": _ROLLED}, 1))
    topic = f"{unique}.shadow"
    workers = make_workers(kafka, serving[0], **_NO_CACHE, **_PATIENT, COLOUR_TOPICS__SHADOW=topic)
    assert f"there is no topic {topic}" in compare(workers.deployment, code=2)
    workers.start()
    sent = listings(20, "shown")
    with workers.reader() as reader:
        reader.all_of(events.publish(kafka.bootstrap, workers.deployment.created, sent.values()))
    shadowed(kafka.bootstrap, topic, len(sent))
    page = tmp_path / "page.html"
    said = compare(workers.deployment, "--html", str(page), "--photos", "6")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in said.splitlines() if "\t" in line}
    assert rows["same colour"][0].startswith("0 (0.00%; 95 % interval 0.00% to ")
    assert rows["listings"][0].startswith("20 from ")
    # Ten colours, twice each; the candidate names the next of the palette.
    assert rows["purple"] == ["0" if at != "blue" else "2" for at in copies.PALETTE]
    assert rows["orange"] == ["0" if at != "red" else "2" for at in copies.PALETTE]
    shown_page = page.read_text()
    assert shown_page.count('<article class="card"') == 6
    assert shown_page.count("data:image/webp;base64,") == 6
    assert "100.0&nbsp;% of listings would change colour" in shown_page
    assert "holds no shadowed listing since" in compare(workers.deployment, "--since", "0s", code=2)


def compare(deployment: Deployment, *arguments: str, code: int = 0) -> str:
    """What the command says."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("colour-worker")), "models", "compare", *arguments],
        env=deployment.environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return " ".join(done.stderr.split()) if code else done.stdout
