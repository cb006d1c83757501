"""``colour-worker publish`` up to the producer: sources, events, ids, photos."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from worker.errors import ConfigurationError
from worker.events import ListingCreated
from worker.publish import publish
from worker.publish.draft import Unusable
from worker.publish.events import PhotoRoute, encode, make_event
from worker.publish.sources import open_source

LIMIT = 1 << 20


def events(path: Path, *, base_url: str | None = None, inline: bool = False) -> list[ListingCreated | Unusable]:
    source = open_source(path)
    route = PhotoRoute(source.folder, base_url, inline)
    return [make_event(row, route, max_bytes=LIMIT) for _, row in source.rows]


def usable(found: list[ListingCreated | Unusable]) -> list[ListingCreated]:
    assert not [entry for entry in found if isinstance(entry, Unusable)]
    return [entry for entry in found if isinstance(entry, ListingCreated)]


@pytest.fixture
def avito(tmp_path: Path) -> Path:
    """Avito's layout: the CSV, and a folder of ``<id>.jpg`` beside it."""
    (tmp_path / "train_data").mkdir()
    for identifier in ("11", "12"):
        (tmp_path / "train_data" / f"{identifier}.jpg").write_bytes(f"photo {identifier}".encode())
    table = tmp_path / "train_data.csv"
    table.write_text("id,category,target\n11,Столы,belyi\n12,Сумки,chernyi\n13,Стулья,seryi\n", encoding="utf-8")
    return table


def test_avitos_table_takes_each_photo_from_the_folder_beside_it(avito: Path) -> None:
    """The photo's bytes travel with their digest; the colour that Avito gave does not travel at all."""
    found = events(avito, inline=True)
    first = usable(found[:1])[0]
    assert (first.listing_id, first.title, first.category) == ("11", "", "Столы")
    assert base64.b64decode(first.images[0].data or "") == b"photo 11"
    assert first.images[0].sha256 == sha256(b"photo 11").hexdigest()
    assert b"belyi" not in encode(first)
    assert found[2] == Unusable("line 4", f"there is no file {avito.parent / 'train_data' / '13.jpg'}")


def test_a_base_url_replaces_the_bytes_and_keeps_the_digest_of_files_that_are_here(avito: Path) -> None:
    """A photo that only the server has is published without one."""
    found = usable(events(avito, base_url="https://photos.example/avito/"))
    assert [event.images[0].url for event in found] == [
        f"https://photos.example/avito/{identifier}.jpg" for identifier in (11, 12, 13)
    ]
    assert [event.images[0].sha256 for event in found] == [
        sha256(b"photo 11").hexdigest(), sha256(b"photo 12").hexdigest(), None,
    ]  # fmt: skip


def test_photos_of_this_machine_need_a_way_to_travel(avito: Path) -> None:
    """Without --inline or --photos-base-url the row says what to add."""
    for entry in events(avito):
        assert isinstance(entry, Unusable)
        assert "--inline" in entry.why
        assert "--photos-base-url" in entry.why


def test_a_table_of_listings_has_its_columns_in_any_order_and_several_photos(tmp_path: Path) -> None:
    """Delimiter, case and a byte order mark do not matter; quoted fields may hold line breaks."""
    table = tmp_path / "listings.csv"
    table.write_text(
        "Title;Image_1;IMAGE_2;listing_id;description\n"
        '"Кружка; новая";https://a.example/1.jpg;https://a.example/2.jpg|https://a.example/3.jpg;a1;"две\nстроки"\n',
        encoding="utf-8-sig",
    )
    (event,) = usable(events(table))
    assert (event.listing_id, event.title, event.description) == ("a1", "Кружка; новая", "две\nстроки")
    assert [photo.url for photo in event.images] == [f"https://a.example/{n}.jpg" for n in (1, 2, 3)]


def test_unusable_rows_are_named_and_the_others_still_published(tmp_path: Path) -> None:
    """Wrong field counts, missing ids, missing photos and foreign bytes cost their own row only."""
    table = tmp_path / "listings.csv"
    table.write_bytes(
        "listing_id,title,url\n"
        "1,хорошая,https://a.example/1.jpg\n"
        "2,too,many,https://a.example/1.jpg\n"
        ",nobody,https://a.example/1.jpg\n"
        "4,no photo,\n".encode()
        + "5,кодировка,https://a.example/1.jpg\n".encode("cp1251")
        + b"6,good,https://a.example/1.jpg\n"
    )
    found = events(table)
    assert [entry.listing_id for entry in found if isinstance(entry, ListingCreated)] == ["1", "6"]
    assert [entry for entry in found if isinstance(entry, Unusable)] == [
        Unusable("line 3", "4 fields, but the header has 3"),
        Unusable("line 4", "the row has no listing_id"),
        Unusable("line 5", "the listing has no photo"),
        Unusable("line 6", "not utf-8: give --encoding, for example cp1251"),
    ]


def test_a_table_without_ids_or_photos_is_refused_as_a_whole(tmp_path: Path) -> None:
    """Nothing of it could be used, so the sentence names the columns instead of every row."""
    table = tmp_path / "listings.csv"
    table.write_text("title,price\nmug,3\n")
    with pytest.raises(ConfigurationError, match="no column listing_id or id or item_id; it has title, price"):
        open_source(table)


def test_jsonl_takes_events_as_they_are_and_fills_in_looser_objects(tmp_path: Path) -> None:
    """An event keeps its id; an object gets one made of its content."""
    event = {
        "schema": "listing.created.v1", "event_id": "mine", "listing_id": "1", "occurred_at": "2026-01-31T12:00:00Z",
        "images": [{"url": "https://a.example/1.jpg"}],
    }  # fmt: skip
    loose = {"id": 2, "title": "Mug", "image": "https://a.example/2.jpg", "price": 3}
    lines = [json.dumps(event), json.dumps(loose), "", "{broken", "[]", json.dumps({"title": "no id"})]
    file = tmp_path / "listings.jsonl"
    file.write_text("\n".join(lines))
    first, second, *unusable = events(file)
    assert isinstance(first, ListingCreated)
    assert isinstance(second, ListingCreated)
    assert (first.event_id, first.listing_id) == ("mine", "1")
    assert (second.listing_id, second.title, second.images[0].url) == ("2", "Mug", "https://a.example/2.jpg")
    assert [(entry.where, entry.why.split(":")[0]) for entry in unusable if isinstance(entry, Unusable)] == [
        ("line 4", "not JSON"),
        ("line 5", "a JSON list, not an object"),
        ("line 6", "the object has no listing_id or id or item_id"),
    ]


def test_a_folder_makes_titles_of_its_file_names(tmp_path: Path) -> None:
    """The subfolder is the category; what is no photo, or hidden, is not looked at."""
    (tmp_path / "кружки").mkdir()
    (tmp_path / "кружки" / "синяя_кружка.JPG").write_bytes(b"1")
    (tmp_path / "notes.txt").write_bytes(b"2")
    (tmp_path / ".hidden.jpg").write_bytes(b"3")
    (event,) = usable(events(tmp_path, inline=True))
    assert (event.listing_id, event.title, event.category) == ("кружки/синяя_кружка.JPG", "синяя кружка", "кружки")


def test_published_again_an_unchanged_listing_has_the_same_event_id(avito: Path) -> None:
    """So a reader can recognise it; a changed photo makes another event."""
    before = usable(events(avito, inline=True)[:2])
    (avito.parent / "train_data" / "12.jpg").write_bytes(b"another photo")
    after = usable(events(avito, inline=True)[:2])
    assert before[0].event_id == after[0].event_id
    assert before[1].event_id != after[1].event_id


def test_an_event_too_large_for_kafka_is_left_out_with_advice(tmp_path: Path) -> None:
    """A base64 photo of 1 MiB does not fit into a record of 1 MiB."""
    (tmp_path / "large.jpg").write_bytes(bytes(1 << 20))
    (entry,) = events(tmp_path, inline=True)
    assert isinstance(entry, Unusable)
    assert "--photos-base-url" in entry.why


def test_progress_ends_at_the_size_of_the_source(avito: Path) -> None:
    """The position after the last row is the file's size."""
    source = open_source(avito)
    positions = [position for position, _ in source.rows]
    assert positions[-1] == source.total == avito.stat().st_size


def test_a_dry_run_shows_an_event_and_needs_no_kafka(avito: Path) -> None:
    """Nothing listens on the default address here."""
    app = typer.Typer()
    app.command()(publish)
    result = CliRunner().invoke(app, [str(avito), "--inline", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert '"listing_id":"11"' in result.output
    assert "2 listings could be published" in result.output
    assert "Left out: 1" in result.output
