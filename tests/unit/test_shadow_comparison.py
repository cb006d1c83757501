"""What a comparison counts, which examples it keeps, and the page made of them."""

from __future__ import annotations

import base64
import io
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.test_publication import RELEASE
from worker.colours import Colour
from worker.events import Candidate, ListingCreated, ReleaseNames, Source
from worker.models.shadowing import Shadowing, parse_shadow, written_shadow
from worker.shadow import report
from worker.shadow.comparison import COLOURS, Comparison, compare
from worker.shadow.record import ListingShadowed, Verdict

START = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)
ACTIVE = ReleaseNames(image="1@ii", text="1@tt", head="1@aa")
CANDIDATE = ACTIVE.model_copy(update={"head": "2@bb"})


def verdict(colour: Colour, release: ReleaseNames, *, sure: bool = True, milliseconds: float | None = None) -> Verdict:
    confidence = 0.9 if sure else 0.3
    return Verdict(
        colour=colour,
        decision="labelled" if sure else "uncertain",
        confidence=confidence,
        top=(Candidate(colour=colour, probability=confidence), Candidate(colour=Colour.GREEN, probability=0.05)),
        release=release,
        milliseconds=milliseconds,
    )


def record(
    number: int,
    live: Colour,
    shadow: Colour,
    *,
    sure: tuple[bool, bool] = (True, True),
    milliseconds: tuple[float | None, float | None] = (None, None),
    candidate: ReleaseNames = CANDIDATE,
) -> ListingShadowed:
    return ListingShadowed(
        event_id=f"e-{number}",
        listing_id=f"l-{number}",
        category="bags",
        source=Source(topic="created", partition=0, offset=number, timestamp=START),
        live=verdict(live, ACTIVE, sure=sure[0], milliseconds=milliseconds[0]),
        shadow=verdict(shadow, candidate, sure=sure[1], milliseconds=milliseconds[1]),
        batch=1,
        shadowed_at=START + timedelta(seconds=number),
    )


def hundred() -> list[ListingShadowed]:
    """80 stay red, 12 go from red to burgundy, 5 from blue to red, 3 stay blue; every tenth is unsure of the second."""
    pairs = (
        [(Colour.RED, Colour.RED)] * 80
        + [(Colour.RED, Colour.BURGUNDY)] * 12
        + [(Colour.BLUE, Colour.RED)] * 5
        + [(Colour.BLUE, Colour.BLUE)] * 3
    )
    return [
        record(at, live, shadow, sure=(True, at % 10 != 0), milliseconds=(float(at), 2.0 * at))
        for at, (live, shadow) in enumerate(pairs)
    ]


def test_agreement_shifts_and_latency_are_counted() -> None:
    (found,) = compare(hundred())
    assert (found.listings, found.same, found.agreement) == (100, 83, 0.83)
    low, high = found.agreement_interval
    # Wilson's interval for 83 of 100, as published tables and scipy's proportion_ci give it.
    assert (round(low, 4), round(high, 4)) == (0.7445, 0.8911)
    assert [(one.colour, one.live, one.shadow, one.kept) for one in found.shifts] == [
        (Colour.RED, 92, 85, 80),
        (Colour.BURGUNDY, 0, 12, 0),
        (Colour.BLUE, 8, 3, 3),
    ]
    assert found.moves == [(Colour.RED, Colour.BURGUNDY, 12), (Colour.BLUE, Colour.RED, 5)]
    assert found.grid[COLOURS.index(Colour.RED), COLOURS.index(Colour.BURGUNDY)] == 12
    assert found.uncertain.tolist() == [[90, 10], [0, 0]]
    live, shadow = found.latencies
    assert (live.p50, shadow.p50) == (49.5, 99.0)
    assert (live.p99, shadow.p99) == pytest.approx((98.01, 196.02))
    assert (found.timed, found.first, found.last) == (100, START, START + timedelta(seconds=99))


def test_batches_without_a_time_of_the_active_release_are_left_out_of_the_latency() -> None:
    (found,) = compare([record(0, Colour.RED, Colour.RED, milliseconds=(None, 3.0))])
    assert found.timed == 0
    assert math.isnan(found.latencies[0].p50)


def test_each_pair_of_releases_is_counted_apart_the_newest_first() -> None:
    other = ACTIVE.model_copy(update={"head": "3@cc"})
    records = [*hundred(), record(200, Colour.RED, Colour.RED, candidate=other), record(50, Colour.RED, Colour.RED)]
    newest, older = compare(records)
    assert (newest.shadow, newest.listings) == (other, 1)
    assert (older.shadow, older.listings) == (CANDIDATE, 101)


def test_examples_are_of_rare_moves_too_and_more_of_the_frequent_ones() -> None:
    records = [record(at, Colour.RED, Colour.PINK) for at in range(400)]
    records += [record(400 + at, Colour.GREY, Colour.SILVER) for at in range(25)]
    records += [record(500 + at, Colour.WHITE, Colour.BEIGE) for at in range(10)]
    (found,) = compare(records)
    chosen = [(one.live.colour, one.shadow.colour) for one in found.examples(22)]
    counts = {move: chosen.count(move) for move in dict.fromkeys(chosen)}
    assert counts == {
        (Colour.RED, Colour.PINK): 16, (Colour.GREY, Colour.SILVER): 4, (Colour.WHITE, Colour.BEIGE): 2,
    }  # fmt: skip
    assert len({one.event_id for one in found.examples(1000)}) == 24 + 24 + 10
    assert found.examples(0) == []
    # The same listings whatever the order in which they are read.
    (again,) = compare(reversed(records))
    assert [one.event_id for one in again.examples(22)] == [one.event_id for one in found.examples(22)]


def test_a_record_is_read_as_it_was_written() -> None:
    one = hundred()[85]
    assert ListingShadowed.model_validate_json(one.model_dump_json(by_alias=True)) == one


def test_the_page_shows_figures_photos_and_escapes_what_strangers_wrote(tmp_path: Path) -> None:
    (found,) = compare(hundred())
    examples = found.examples(50)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "WEBP")
    uri = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
    first = examples[0]
    listing = ListingCreated.model_validate(
        {
            "schema": "listing.created.v1", "event_id": first.event_id, "listing_id": first.listing_id,
            "occurred_at": START, "title": "<script>alert(1)</script>", "images": [{"url": "http://photos/1.jpg"}] * 2,
        }
    )  # fmt: skip
    path = tmp_path / "page.html"
    report.write(found, examples, {first.event_id: listing}, {first.event_id: uri}, path, now=START)
    page = path.read_text()
    assert "17.0&nbsp;% of listings would change colour" in page
    assert page.count('<article class="card"') == 17
    assert page.count(uri) == 1
    assert "1 of 2" in page
    assert page.count("no longer in the topic") == 16
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "colour-worker models activate --head 2" in page
    assert 'title="red to burgundy: 12 listings"' in page


def test_the_page_of_two_equal_releases_says_so(tmp_path: Path) -> None:
    (found,) = compare([record(0, Colour.RED, Colour.RED)])
    report.write(found, [], {}, {}, tmp_path / "page.html", now=START)
    assert "Every listing would keep its colour" in (tmp_path / "page.html").read_text()


def test_a_comparison_of_a_million_listings_takes_little_memory() -> None:
    found = Comparison(ACTIVE, CANDIDATE, START, START)
    one = record(1, Colour.RED, Colour.PINK, milliseconds=(1.0, 2.0))
    for _ in range(10_000):
        found.add(one)
    assert sum(len(kept) for kept in found._examples.values()) == 1
    assert found._milliseconds[0].itemsize == 4


def test_the_sample_is_the_same_for_everybody_and_grows_with_the_share() -> None:
    ids = [f"listing-{number}" for number in range(20_000)]
    small, large = ({one for one in ids if Shadowing(RELEASE, share).samples(one)} for share in (0.1, 0.3))
    assert small < large
    # Four standard deviations of a binomial.
    assert abs(len(small) - 2_000) < 4 * np.sqrt(20_000 * 0.1 * 0.9)
    assert all(Shadowing(RELEASE, 1).samples(one) for one in ids)


@pytest.mark.parametrize(
    "value", ["image=1 text=1 head=2", "image=1 text=1 head=2 share=0", "head=2 share=0.1",
              "image=1 text=1 head=2 share=1.5", "image=1 text=1 head=2 share=nan", "tomorrow"],
)  # fmt: skip
def test_a_shadow_that_is_written_wrongly_is_refused(value: str) -> None:
    with pytest.raises(Exception, match=r"release/shadow|release/active"):
        parse_shadow(value)


def test_a_shadow_is_read_as_it_was_written() -> None:
    versions = {"image": "3", "text": "1", "head": "7"}
    assert parse_shadow(written_shadow(versions, 0.05)) == (versions, 0.05)
