"""What an outcome becomes in Kafka."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from worker.colours import Colour
from worker.errors import Postponed, Reason, Rejected
from worker.events import Candidate, ListingCreated
from worker.models import Encoder, Head, Release
from worker.stream.envelope import Envelope, Header
from worker.stream.publication import Publication, Publisher
from worker.stream.topics import Topics
from worker.tagger import Labelled, Outcome

NOW = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)
TOPICS = Topics("created", "coloured", ("retry.1", "retry.2"), "dead")
PUBLISHER = Publisher(TOPICS, (timedelta(seconds=30), timedelta(minutes=5)), "live", max_bytes=1000)
RELEASE = Release(Encoder("1", "ii", 4, side=32), Encoder("2", "tt", 4), Head("3", "hh", tuple(Colour), threshold=0.5))
LATER = Postponed(Reason.PHOTO_TIMEOUT, "the host is slow")


@dataclass
class Record:
    """What kafka-python hands over, as far as an envelope reads it."""

    topic: str = "created"
    partition: int = 3
    offset: int = 41
    timestamp: int = 1_769_860_800_000
    key: bytes | None = b"l-1"
    value: bytes | None = b"{}"
    headers: Sequence[tuple[str, bytes | None]] = field(default_factory=lambda: [("trace", b"abc")])

    def again(self, publication: Publication) -> Record:
        return Record(publication.topic, 0, 7, 1, publication.key, publication.value, publication.headers)


def labelled(*, certain: bool = True) -> Labelled:
    event = ListingCreated.model_validate(
        {"schema": "listing.created.v1", "event_id": "e", "listing_id": "l-1", "occurred_at": NOW}
    )
    top = (
        Candidate(colour=Colour.BURGUNDY, probability=0.93),
        Candidate(colour=Colour.RED, probability=0.05),
    )
    return Labelled(event, top, certain, images_used=2, text_used=True, release=RELEASE)


def test_an_answer_goes_to_the_output_topic_with_all_that_made_it() -> None:
    publication = PUBLISHER.publish(Envelope.open(Record(), retried=False), labelled(), NOW)
    assert (publication.topic, publication.key) == ("coloured", b"l-1")
    assert publication.value is not None
    assert json.loads(publication.value) == {
        "schema": "listing.coloured.v1",
        "event_id": "e",
        "listing_id": "l-1",
        "decision": "labelled",
        "colour": "burgundy",
        "colour_ru": "бордовый",
        "confidence": 0.93,
        "top": [{"colour": "burgundy", "probability": 0.93}, {"colour": "red", "probability": 0.05}],
        "images_used": 2,
        "text_used": True,
        "release": {"image": "1@ii", "text": "2@tt", "head": "3@hh"},
        "source": {"topic": "created", "partition": 3, "offset": 41, "timestamp": "2026-01-31T12:00:00Z"},
        "run": "live",
        "labelled_at": "2026-02-01T12:00:00Z",
    }


def test_an_unsure_answer_says_so_and_still_names_a_colour() -> None:
    publication = PUBLISHER.publish(Envelope.open(Record(), retried=False), labelled(certain=False), NOW)
    answer = json.loads(publication.value or b"")
    assert (answer["decision"], answer["colour"]) == ("uncertain", "burgundy")


def test_a_rejected_event_is_a_dead_letter_with_original_bytes_and_a_reason() -> None:
    record = Record(value=b"\xff not json")
    publication = PUBLISHER.publish(
        Envelope.open(record, retried=False), Rejected(Reason.MALFORMED_JSON, "not JSON"), NOW
    )
    headers = dict(publication.headers)
    assert (publication.topic, publication.key, publication.value) == ("dead", b"l-1", b"\xff not json")
    assert publication.headers[0] == ("trace", b"abc")
    assert headers["colour-reason"] == b"malformed_json"
    assert headers["colour-attempts"] == b"1"
    assert (headers["colour-source-topic"], headers["colour-source-offset"]) == (b"created", b"41")


def test_a_postponed_event_climbs_the_retry_topics_and_then_dies_with_its_history() -> None:
    record = Record()
    seen = []
    for minutes in range(3):
        envelope = Envelope.open(record, retried=bool(minutes))
        publication = PUBLISHER.publish(envelope, LATER, NOW + timedelta(minutes=minutes))
        seen.append(publication.topic)
        record = record.again(publication)
    headers = dict(record.headers)
    assert seen == ["retry.1", "retry.2", "dead"]
    assert headers["colour-attempts"] == b"3"
    assert headers["colour-first-failure"] == NOW.isoformat().encode()
    assert headers["colour-source-offset"] == b"41"
    assert record.value == b"{}"
    assert [name for name, _ in record.headers].count("trace") == 1


def test_a_retry_is_due_after_its_delay() -> None:
    first = PUBLISHER.publish(Envelope.open(Record(), retried=False), LATER, NOW)
    envelope = Envelope.open(Record().again(first), retried=True)
    assert envelope.due == NOW + timedelta(seconds=30)
    assert envelope.headers == (("trace", b"abc"),)


def test_a_stranger_cannot_forge_history_on_the_input_topic() -> None:
    forged = PUBLISHER.publish(Envelope.open(Record(), retried=False), LATER, NOW)
    envelope = Envelope.open(Record().again(forged), retried=False)
    assert (envelope.attempts, envelope.due, envelope.source.offset) == (0, None, 7)


@pytest.mark.parametrize("headers", [[], [("colour-due", b"tomorrow")], [("x", b"y")] * 9])
def test_a_retry_record_without_our_history_counts_as_new(headers: list[Header]) -> None:
    envelope = Envelope.open(Record(topic="retry.1", headers=headers), retried=True)
    assert (envelope.attempts, envelope.headers) == (0, tuple(headers))


def test_a_header_without_a_value_gets_an_empty_one_that_can_be_written() -> None:
    """Kafka's header values are nullable; kafka-python reads null, and refuses to write it."""
    envelope = Envelope.open(Record(headers=[("trace", None), ("x", b"y")]), retried=False)
    for outcome in (LATER, Rejected(Reason.MALFORMED_JSON, "not JSON")):
        assert PUBLISHER.publish(envelope, outcome, NOW).headers[:2] == [("trace", b""), ("x", b"y")]


def test_headers_without_values_are_no_history_of_ours() -> None:
    envelope = Envelope.open(Record(topic="retry.1", headers=[("x", None)] * 9), retried=True)
    assert (envelope.attempts, envelope.headers) == (0, (("x", b""),) * 9)


@pytest.mark.parametrize(
    ("timestamp", "read"),
    [
        (1_769_860_800_000, datetime(2026, 1, 31, 12, 0, tzinfo=UTC)),
        (1_769_860_800_123, datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=UTC)),
        (253_402_300_799_999, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (253_402_300_800_000, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (1_769_860_800_000_000, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),  # microseconds
        (2**63 - 1, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (-1, datetime(1970, 1, 1, tzinfo=UTC)),  # Kafka's word for none
        (-(2**63), datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_timestamp_that_no_calendar_holds_is_the_nearest_that_one_does(timestamp: int, read: datetime) -> None:
    first = Envelope.open(Record(timestamp=timestamp), retried=False)
    again = Envelope.open(Record().again(PUBLISHER.publish(first, LATER, NOW)), retried=True)
    assert first.source.timestamp == again.source.timestamp == read


def test_a_postponed_event_too_large_for_a_retry_topic_is_a_dead_letter_at_once() -> None:
    fits, large = (
        Envelope.open(Record(key=None, value=b"x" * size, headers=[]), retried=False) for size in (1000, 1001)
    )
    assert PUBLISHER.publish(fits, LATER, NOW).topic == "retry.1"
    publication = PUBLISHER.publish(large, LATER, NOW)
    headers = dict(publication.headers)
    assert (publication.topic, publication.value) == ("dead", None)
    assert (headers["colour-reason"], headers["colour-attempts"]) == (b"photo_timeout", b"1")
    assert (headers["colour-source-offset"], headers["colour-value-omitted-bytes"]) == (b"41", b"1001")


def test_an_original_too_large_for_a_dead_letter_is_left_out_and_said_so() -> None:
    record = Record(key=None, value=b"x" * 1001)
    publication = PUBLISHER.publish(Envelope.open(record, retried=False), Rejected(Reason.INVALID_EVENT, "large"), NOW)
    assert publication.value is None
    assert dict(publication.headers)["colour-value-omitted-bytes"] == b"1001"


@pytest.mark.parametrize(("length", "written"), [(392, ("retry.1", b"x" * 600)), (393, ("dead", None))])
def test_key_and_headers_count_in_the_size_of_an_original(length: int, written: tuple[str, bytes | None]) -> None:
    """A broker weighs the whole record: here 3 bytes of key, 600 of value, 5 of the header's name, and its value."""
    header = ("trace", b"t" * length)
    envelope = Envelope.open(Record(value=b"x" * 600, headers=[header]), retried=False)
    publication = PUBLISHER.publish(envelope, LATER, NOW)
    assert (publication.topic, publication.value) == written
    assert publication.headers[0] == header


def test_headers_too_large_for_a_dead_letter_are_left_out_with_the_value() -> None:
    envelope = Envelope.open(Record(headers=[("trace", b"t" * 1001)]), retried=False)
    publication = PUBLISHER.publish(envelope, LATER, NOW)
    names = [name for name, _ in publication.headers]
    assert (publication.topic, publication.key, publication.value) == ("dead", b"l-1", None)
    assert "trace" not in names
    assert dict(publication.headers)["colour-value-omitted-bytes"] == b"2"


def test_a_tombstone_whose_headers_are_left_out_says_so() -> None:
    """Else it would be put back as if it had come without any."""
    record = Record(value=None, headers=[("trace", b"t" * 1001)])
    publication = PUBLISHER.publish(Envelope.open(record, retried=False), Rejected(Reason.INVALID_EVENT, "null"), NOW)
    assert "trace" not in dict(publication.headers)
    assert dict(publication.headers)["colour-value-omitted-bytes"] == b"0"


@pytest.mark.parametrize("outcome", [labelled(), LATER, Rejected(Reason.NO_PHOTO, "none")])
def test_a_key_too_large_for_any_topic_of_ours_is_left_out_of_a_dead_letter(outcome: Outcome) -> None:
    """What is written whole would be refused by the broker, transaction after transaction."""
    fits, large = (
        PUBLISHER.publish(envelope, PUBLISHER.admitted(envelope, outcome), NOW)
        for size in (1000, 1001)
        for envelope in [Envelope.open(Record(key=b"k" * size, headers=[]), retried=False)]
    )
    assert fits.key == b"k" * 1000
    assert (large.topic, large.key, large.value) == ("dead", b"", None)
    headers = dict(large.headers)
    assert headers["colour-value-omitted-bytes"] == b"2"
    assert headers["colour-reason"] == (b"invalid_event" if isinstance(outcome, Labelled) else outcome.reason.encode())
