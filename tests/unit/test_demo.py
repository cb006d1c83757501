"""The demo's pure parts: its listings, its photos, its book-keeping and its page."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worker.colours import NAMES, Colour
from worker.demo import events, report
from worker.demo.ledger import Answer, DeadLetter, Ledger, Sent, speed
from worker.demo.listings import BROKEN, Listing, plan
from worker.demo.photos import shots
from worker.demo.photos.paints import METALS, SHADES
from worker.demo.process import Lookups
from worker.demo.titles import inflect
from worker.errors import Reason, Rejected
from worker.events import Candidate, ListingColoured, ListingCreated, ReleaseNames, Source

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def coloured(listing: Listing, colour: Colour, offset: int, *, certain: bool = True) -> ListingColoured:
    return ListingColoured(
        event_id="e",
        listing_id=listing.listing_id,
        decision="labelled" if certain else "uncertain",
        colour=colour,
        colour_ru=NAMES[colour].ru,
        confidence=0.9,
        top=[Candidate(colour=colour, probability=0.9), Candidate(colour=Colour.GREY, probability=0.1)],
        images_used=1,
        text_used=True,
        release=ReleaseNames(image="1@a", text="1@b", head="1@c"),
        source=Source(topic="t", partition=0, offset=offset, timestamp=NOON),
        run="live",
        labelled_at=NOON,
    )


def test_the_same_number_gives_the_same_listings() -> None:
    """A second run finds its photos made and their embeddings cached."""
    assert plan(300) == plan(300)
    assert len(plan(300)) == 300


def test_all_colours_all_things_and_every_fault_are_among_the_listings() -> None:
    """Colours come about equally often; titles are Russian, English or missing."""
    listings = plan(300)
    colours = Counter(listing.colour for listing in listings if listing.colour)
    assert set(colours) == set(Colour)
    assert min(colours.values()) >= 10
    assert Counter(listing.fault for listing in listings if listing.fault) == Counter(fault for fault, _ in BROKEN)
    titles = [listing.title for listing in listings]
    assert sum(title == "" for title in titles) >= 10
    assert sum(bool(re.search("[а-я]", title)) for title in titles) >= 100
    assert sum(bool(re.search("[a-z]", title)) for title in titles) >= 60


def test_listing_ids_and_files_are_unique() -> None:
    """One photo, one file; one listing, one key."""
    listings = plan(300)
    assert len({listing.listing_id for listing in listings}) == 300
    files = [listing.shot.file for listing in listings if listing.shot]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(
    ("masculine", "gender", "expected"),
    [
        ("синий", "f", "синяя"), ("синий", "p", "синие"), ("красный", "n", "красное"), ("золотой", "f", "золотая"),
        ("голубой", "p", "голубые"), ("чёрный", "m", "чёрный"),
    ],
)  # fmt: skip
def test_russian_adjectives_follow_their_noun(masculine: str, gender: str, expected: str) -> None:
    """Soft and hard stems, stressed endings too."""
    assert inflect(masculine, gender) == expected  # type: ignore[arg-type]  # parametrize gives plain strings


def test_broken_events_are_broken_as_they_say(tmp_path: Path) -> None:
    """Malformed JSON and a missing id fail as events; the others are good events about bad photos."""
    found = {}
    for listing in plan(36):
        if listing.fault is None:
            continue
        value = events.record(listing, tmp_path, "http://photos", 0)
        try:
            found[listing.fault] = str(ListingCreated.parse(value).images)
        except Rejected as rejection:
            found[listing.fault] = rejection.reason
    assert found["malformed JSON"] == Reason.MALFORMED_JSON
    assert found["no id"] == Reason.INVALID_EVENT
    assert found["no photo"] == "[]"
    assert events.TEXT_FILE in found["text named .jpg"]
    assert re.search(r"http://(10\.|169\.254\.)", found["private address"])


def test_a_listing_published_again_is_another_event(tmp_path: Path) -> None:
    """So that readers who drop repeated event ids do not drop it."""
    listing = next(listing for listing in plan(36) if listing.fault == "missing photo")
    first, again = (ListingCreated.parse(events.record(listing, tmp_path, "http://photos", n)) for n in (0, 1))
    assert first.event_id != again.event_id
    assert first.listing_id == again.listing_id


@pytest.mark.parametrize(
    ("technique", "subject", "colour"),
    [
        ("garment", "t-shirt", Colour.RED), ("garment", "sweater", Colour.BLUE),
        ("recoloured", "motorcycle", Colour.GREEN), ("solid", "vase", Colour.YELLOW),
    ],
)  # fmt: skip
def test_a_drawn_thing_has_the_colour_it_was_painted_with(
    tmp_path: Path, technique: shots.Technique, subject: str, colour: Colour
) -> None:
    """A good part of the photo has the hue of the paint."""
    shot = shots.Shot("photo.png", technique, subject, colour, seed=8)
    shots.make([shot], tmp_path, lambda _: None)
    with Image.open(tmp_path / shot.file) as photo:
        hue, saturation, _ = np.moveaxis(np.asarray(photo.convert("HSV"), float) / 255, -1, 0)
    wanted = Image.new("RGB", (1, 1), f"#{SHADES[colour][0]}").convert("HSV").getpixel((0, 0))
    assert isinstance(wanted, tuple)
    away = np.abs((hue - wanted[0] / 255 + 0.5) % 1 - 0.5)
    assert np.mean((away < 0.06) & (saturation > 0.4)) > (0.015 if technique == "recoloured" else 0.08)


def test_every_colour_can_be_painted() -> None:
    """Multicolour has palettes of its own."""
    assert set(SHADES) | {Colour.MULTICOLOUR} == set(Colour)
    assert set(SHADES) >= METALS


def test_answers_are_matched_by_the_place_of_their_event() -> None:
    """Also when the answer is read before the producer knows where the event stands."""
    listing = plan(36)[0]
    ledger = Ledger()
    ledger.answered(Answer((0, 7), 101.5, coloured(listing, Colour.RED, 7)))
    ledger.answered(Answer((0, 3), 101.5, coloured(listing, Colour.RED, 3)))
    assert ledger.answers() == []
    ledger.sent((0, 7), Sent(listing, "burst", 100.0))
    ledger.sent((0, 8), Sent(listing, "burst", 100.0))
    assert [answer.seconds for answer in ledger.answers()] == [1.5]
    assert len(ledger.missing()) == 1


def test_a_part_is_settled_when_the_rest_waits_for_another_attempt() -> None:
    """A second answer to one event is noticed."""
    listing = plan(36)[0]
    ledger = Ledger()
    ledger.sent((0, 0), Sent(listing, "burst", 100.0))
    assert not ledger.settled("burst")
    ledger.postponed((0, 0))
    assert ledger.settled("burst")
    assert ledger.waiting() == 1
    for _ in range(2):
        ledger.answered(Answer((0, 0), 107.0, DeadLetter("photo_not_found", "404", 4, b"{}")))
    assert (ledger.waiting(), ledger.retried(), ledger.twice()) == (0, 1, 1)


def test_speed_leaves_out_what_was_tried_again() -> None:
    """Its delay is on purpose."""
    listing = plan(36)[0]
    ledger = Ledger()
    for offset in range(100):
        ledger.sent((0, offset), Sent(listing, "burst", 100.0 + offset / 100))
        ledger.answered(Answer((0, offset), 100.1 + offset / 100, coloured(listing, Colour.RED, offset)))
    ledger.sent((0, 100), Sent(listing, "burst", 100.0))
    ledger.answered(Answer((0, 100), 106.0, DeadLetter("photo_not_found", "404", 4, b"{}")))
    measured = speed(ledger.answers())
    assert measured.events == 100
    assert measured.median == pytest.approx(0.1)
    assert measured.per_second == pytest.approx(100 / 1.09, rel=0.01)


def test_the_page_escapes_what_strangers_wrote(tmp_path: Path) -> None:
    """Titles, messages and original bytes are text there, never markup."""
    evil = "<script>alert('x')</script>"
    listing = Listing("1", evil, "", "", shots.Shot("photo.png", "original", "cat", Colour.RED, 1))
    broken = Listing("2", evil, "", "", None, fault="no photo")
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    ledger = Ledger()
    ledger.sent((0, 0), Sent(listing, "burst", 100.0))
    ledger.sent((0, 1), Sent(broken, "burst", 100.0))
    ledger.answered(Answer((0, 0), 100.2, coloured(listing, Colour.RED, 0, certain=False)))
    ledger.answered(Answer((0, 1), 100.2, DeadLetter("no_photo", evil, 1, evil.encode() + b"\xff" * 1000)))
    run = report.Run(ledger, Lookups(0, 2), Lookups(2, 2), 10.0, NOON, tmp_path)
    page = tmp_path / "report.html"
    report.write(run, page)
    html = page.read_text(encoding="utf-8")
    assert evil not in html
    assert html.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") >= 4
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", html)
    summary = report.summarise(run)
    assert (summary.events, summary.uncertain, summary.dead, summary.painted_right) == (2, 1, 1, 1)


def test_the_page_begins_with_one_listing_of_each_colour(tmp_path: Path) -> None:
    """Two whites and a red, answered in this order."""
    ledger = Ledger()
    for number, colour in enumerate((Colour.WHITE, Colour.WHITE, Colour.RED)):
        listing = Listing(str(number), f"title {number}", "", "", None)
        ledger.sent((0, number), Sent(listing, "burst", 100.0))
        ledger.answered(Answer((0, number), 100.2, coloured(listing, colour, number)))
    page = tmp_path / "report.html"
    report.write(report.Run(ledger, Lookups(0, 2), Lookups(2, 2), 10.0, NOON, tmp_path), page)
    html = page.read_text(encoding="utf-8")
    assert re.findall(r"title \d", html) == ["title 0", "title 2", "title 1"]
