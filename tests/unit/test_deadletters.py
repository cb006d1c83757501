"""Dead letters without Kafka: what a record says, which are selected, what may be printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from worker.deadletters import printing
from worker.deadletters.ledger import Entry, Ledger
from worker.deadletters.letter import DeadLetter
from worker.deadletters.selection import Selection, parse_time
from worker.errors import Reason, Rejected
from worker.stream.envelope import Envelope
from worker.stream.publication import Publication, Publisher
from worker.stream.topics import Topics

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
TOPICS = Topics("created", "coloured", ("retry.1",), "dead")


@dataclass
class Record:
    """What kafka-python gives."""

    key: bytes | None = b"listing-1"
    value: bytes | None = b"{broken"
    headers: Sequence[tuple[str, bytes | None]] = ()
    topic: str = "created"
    partition: int = 2
    offset: int = 77
    timestamp: int = int(NOW.timestamp() * 1000)


def written(record: Record, *, max_bytes: int = 1000) -> Publication:
    """The dead letter that a worker writes for an original."""
    publisher = Publisher(TOPICS, (), "live", max_bytes)
    outcome = Rejected(Reason.MALFORMED_JSON, "it breaks off")
    return publisher.publish(Envelope.open(record, retried=False), outcome, NOW)


def opened(publication: Publication, *, offset: int = 5, at: datetime = NOW) -> DeadLetter:
    """Read back from partition 1 of the dead-letter topic."""
    letter = DeadLetter.open(
        Record(
            key=publication.key,
            value=publication.value,
            headers=publication.headers,
            topic="dead",
            partition=1,
            offset=offset,
            timestamp=int(at.timestamp() * 1000),
        )
    )
    assert letter is not None
    return letter


def test_a_letter_gives_back_the_original_and_its_history() -> None:
    letter = opened(written(Record(headers=[("trace", b"\xff\x00")])))
    assert (letter.key, letter.value, letter.headers) == (b"listing-1", b"{broken", (("trace", b"\xff\x00"),))
    assert (letter.reason, letter.message, letter.attempts) == ("malformed_json", "it breaks off", 1)
    assert (letter.source.topic, letter.source.partition, letter.source.offset) == ("created", 2, 77)
    assert letter.place == "1:5"


def test_a_publishers_header_that_looks_like_ours_stays_with_the_original() -> None:
    theirs = [("colour-reason", b"forged"), ("colour-attempts", b"99")]
    letter = opened(written(Record(headers=theirs)))
    assert letter.headers == tuple(theirs)
    assert (letter.reason, letter.attempts) == ("malformed_json", 1)


def test_a_publishers_header_without_a_value_can_be_put_back() -> None:
    """kafka-python refuses to write null: it is empty, also where another client put it into a letter."""
    letter = DeadLetter.open(Record(headers=[("trace", None), *written(Record()).headers]))
    assert letter is not None
    assert letter.headers == (("trace", b""),)


def test_an_original_that_was_too_large_says_how_large_it_was() -> None:
    letter = opened(written(Record(value=b"x" * 2000), max_bytes=1000))
    assert (letter.value, letter.omitted) == (None, 2000)


def test_a_tombstone_is_not_taken_for_an_omitted_value() -> None:
    letter = opened(written(Record(value=None)))
    assert (letter.value, letter.omitted) == (None, None)


def test_a_tombstone_whose_headers_were_too_large_is_not_all_there() -> None:
    letter = opened(written(Record(value=None, headers=[("trace", b"t" * 2000)])))
    assert (letter.value, letter.headers, letter.omitted) == (None, (), 0)


@pytest.mark.parametrize("headers", [[], [("colour-reason", b"no_photo")], [("a", b"b")] * 9, [("a", None)] * 9])
def test_a_strangers_record_is_no_letter(headers: list[tuple[str, bytes | None]]) -> None:
    assert DeadLetter.open(Record(headers=headers)) is None


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        (Selection(), True),
        (Selection(reasons=frozenset({Reason.MALFORMED_JSON, Reason.NO_PHOTO})), True),
        (Selection(reasons=frozenset({Reason.NO_PHOTO})), False),
        (Selection(since=NOW), True),
        (Selection(since=NOW + timedelta(milliseconds=1)), False),
        (Selection(until=NOW), False),
        (Selection(until=NOW + timedelta(milliseconds=1)), True),
        (Selection(listing="listing-1"), True),
        (Selection(listing="listing-10"), False),
        (Selection(reasons=frozenset({Reason.MALFORMED_JSON}), listing="other"), False),
    ],
)
def test_a_selection_asks_for_all_that_is_given(selection: Selection, *, selected: bool) -> None:
    assert (opened(written(Record())) in selection) is selected


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("36h", NOW - timedelta(hours=36)),
        ("7d", NOW - timedelta(days=7)),
        ("1.5m", NOW - timedelta(seconds=90)),
        ("2026-01-30T00:00:00Z", datetime(2026, 1, 30, tzinfo=UTC)),
        ("2026-01-30T03:00:00+03:00", datetime(2026, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_date_or_so_long_ago(text: str, time: datetime) -> None:
    assert parse_time(text, NOW) == time


@pytest.mark.parametrize("text", ["yesterday", "36", "-3h", "2026-01-30T00:00:00", "999999999w"])
def test_another_text_is_refused_with_what_to_write_instead(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_time(text, NOW)


def test_the_ledger_tells_a_letter_from_one_at_its_place_in_a_topic_made_anew() -> None:
    publication = written(Record())
    ledger = Ledger({"1:5": Entry(written=NOW, redriven=NOW)})
    assert opened(publication) in ledger
    assert opened(publication, offset=6) not in ledger
    assert opened(publication, at=NOW + timedelta(days=1)) not in ledger


def test_entries_of_expired_letters_can_go() -> None:
    entry = Entry(written=NOW, redriven=NOW)
    ledger = Ledger({"0:9": entry, "0:10": entry, "1:3": entry})
    assert ledger.expired({0: 10, 1: 0}) == ["0:9"]


def test_nothing_a_stranger_wrote_can_steer_the_terminal() -> None:
    assert printing.printable("a\x1b[31mb\tc\nd\u202eж") == "a\\x1b[31mb\\tc\\nd\\u202eж"
    assert printing.text(b"ok \xff\x00 " + b"x" * 100, 8) == "ok \\xff\\x00 xx… (106 bytes)"
