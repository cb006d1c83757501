from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from worker.colours import Colour
from worker.events import Source
from worker.replay import release
from worker.replay.previous import Last, PreviousAnswers
from worker.replay.ranges import Range
from worker.replay.selection import Selection
from worker.stream.envelope import Envelope

TOPIC = "created"


def source(offset: int, *, topic: str = TOPIC) -> Source:
    return Source(topic=topic, partition=0, offset=offset, timestamp=datetime(2026, 1, 31, tzinfo=UTC))


def output(offset: int, colour: str, *, decision: str = "labelled", run: str = "live", topic: str = TOPIC) -> bytes:
    place = {"topic": topic, "partition": 0, "offset": offset}
    return json.dumps({"colour": colour, "decision": decision, "run": run, "source": place}).encode()


def test_the_last_answer_to_each_offset_of_the_ranges_is_remembered() -> None:
    answers = PreviousAnswers(TOPIC, [Range(partition=0, start=10, end=13)])
    for value in (
        output(10, "red"), output(10, "blue"), output(11, "multicolour", decision="uncertain"), output(9, "red"),
        output(13, "red"), output(12, "red", run="replay/x"), output(12, "red", topic="other"), b"not JSON",
        output(12, "ultraviolet"),
    ):  # fmt: skip
        answers.note(value, "replay/x")
    assert [answers.of(source(offset)) for offset in range(9, 14)] == [
        None, Last(Colour.BLUE, uncertain=False), Last(Colour.MULTICOLOUR, uncertain=True), None, None,
    ]  # fmt: skip
    assert answers.of(source(10, topic="other")) is None


def test_conditions_are_read_and_hold_together() -> None:
    assert Selection.parse(["category=tables", "uncertain"]) == Selection(category="tables", uncertain=True)


@pytest.mark.parametrize(
    "texts", [["colour=ultraviolet"], ["category="], ["certain"], ["dead", "uncertain"], ["colour=red", "colour=blue"]]
)
def test_conditions_that_mean_nothing_are_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"--only|no colour"):
        Selection.parse(texts)


def test_an_event_that_cannot_be_read_belongs_to_no_category() -> None:
    selection = Selection(category="tables")
    wanted = [
        selection.wants(Envelope(b"k", value, (), source(0)), None)
        for value in (b'{"category": "tables"}', b'{"category": "chairs"}', b"{", None)
    ]
    assert wanted == [True, False, False, False]


def test_versions_of_a_release_are_read() -> None:
    assert release.parse("head=2") == {"head": "2"}
    assert release.parse("image=1,text=1,head=2") == {"image": "1", "text": "1", "head": "2"}


@pytest.mark.parametrize("text", ["2", "head", "head=x", "tail=1", "head=1,head=2", ""])
def test_a_release_written_in_another_way_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--release"):
        release.parse(text)
