"""Photos from every layout, bad rows counted, and splits that cut through no seller and no pair of near-duplicates."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from training.captions.items import ITEMS, item_of
from training.data import store as stores
from training.data.labels import INDEX
from training.data.sources import Row, Skipped, read
from training.data.splits import grouped, held_out, marks


def photo(rgb: tuple[int, int, int] = (200, 20, 25)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 30), rgb).save(buffer, "JPEG")
    return buffer.getvalue()


def rows(path: Path) -> tuple[list[Row], list[tuple[str, str]]]:
    skipped = Skipped()
    return list(read(path, skipped)), skipped.rows


def test_avitos_layout_is_read_and_its_bad_rows_are_listed(tmp_path: Path) -> None:
    """Unknown codes, missing files and short lines are counted, not fatal."""
    (tmp_path / "train_data.csv").write_text(
        "id,category,target\n1,tables,belyi\n2,bags,nosuch\n3,bags,chernyi\n4\n5,chairs,zelenyi\n"
    )
    (tmp_path / "images").mkdir()
    (tmp_path / "1.jpg").write_bytes(photo())
    (tmp_path / "images" / "5.jpg").write_bytes(photo())
    found, skipped = rows(tmp_path)
    assert [(row.id, row.colour, row.category) for row in found] == [("1", "white", "tables"), ("5", "green", "chairs")]
    assert skipped == [
        ("2", "unknown colour code 'nosuch'"),
        ("3", "no file 3.jpg"),
        ("4", "unknown colour code ''"),
    ]


def test_a_table_of_other_columns_is_named(tmp_path: Path) -> None:
    """The sentence says which columns are wanted."""
    (tmp_path / "train_data.csv").write_text("number,colour\n1,red\n")
    with pytest.raises(ValueError, match="needs id and target"):
        rows(tmp_path)


def test_folders_are_named_after_colours_or_codes(tmp_path: Path) -> None:
    """A folder that is no colour is listed."""
    for folder in ("red", "bordovyi", "paisley"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(photo())
    found, skipped = rows(tmp_path)
    assert [row.colour for row in found] == ["burgundy", "red"]
    assert skipped == [("paisley/1.jpg", "folder 'paisley' is no colour")]


def test_street_photos_lie_anywhere_and_need_no_colour(tmp_path: Path) -> None:
    """A folder's name counts as a colour where it is one."""
    for name in ("a.jpg", "room/b.jpg", "room/red/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(photo())
    skipped = Skipped()
    found = [(row.id, row.colour) for row in read(tmp_path, skipped, labelled=False)]
    assert found == [("a.jpg", None), ("room/b.jpg", None), ("room/red/c.jpg", "red")]
    assert not skipped.rows


def clear_png() -> bytes:
    """A red item on a ground that is black, were it not clear."""
    pixels = np.zeros((80, 60, 4), np.uint8)
    pixels[20:65, 12:48] = (200, 20, 25, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_store_is_made_of_what_the_worker_would_see(tmp_path: Path) -> None:
    """A clear ground is white; an empty file is listed; what sellers call their own photos is kept."""
    shop, street = tmp_path / "shop" / "red", tmp_path / "street" / "green"
    for folder in (shop, street):
        folder.mkdir(parents=True)
        (folder / "good.png").write_bytes(clear_png())
        (folder / "empty.jpg").write_bytes(b"")
    (tmp_path / "street" / "unlabelled.jpg").write_bytes(photo())
    skipped, beyond = stores.build([tmp_path / "shop"], [tmp_path / "street"], tmp_path / "store", cap=10)
    assert [name for name, reason in skipped.rows if reason.startswith("not_an_image")] == [
        "red/empty.jpg",
        "green/empty.jpg",
    ]
    assert beyond == {}
    store = stores.load(tmp_path / "store")
    assert store.targets.argmax(1).tolist() == [INDEX["red"]]
    assert store.street_ids == ["green/good.png", "unlabelled.jpg"]
    assert store.street_targets[0].argmax() == INDEX["green"]
    assert not store.street_targets[1].any()
    assert (store.street[0, 0, 0] == 255).all()


def test_an_item_is_known_by_its_category_or_its_name() -> None:
    found = [item_of(word) for word in ("chairs", "Стул", "bags", "Платье", "tshirts", "paisley")]
    assert [ITEMS[number].key if number >= 0 else None for number in found] == [
        "chair", "chair", "bag", "dress", "t-shirt", None,
    ]  # fmt: skip


def test_parquet_needs_only_an_image(tmp_path: Path) -> None:
    """Bytes or a struct of them; a row without is listed."""
    table = pa.Table.from_pylist([{"image": {"bytes": photo(), "path": "a.jpg"}, "target": "belyi"}, {"image": None}])
    pq.write_table(table, tmp_path / "some.parquet")
    found, skipped = rows(tmp_path / "some.parquet")
    assert [(row.id, row.colour) for row in found] == [("some.parquet:0", "white")]
    assert skipped == [("some.parquet:1", "no image")]
    assert rows(tmp_path)[0] == found


def test_webdataset_shards_are_read_in_order(tmp_path: Path) -> None:
    """JSON beside the photo, or the colour alone; what cannot be read is listed."""
    for shard in range(2):
        with tarfile.open(tmp_path / f"shard-{shard}.tar", "w") as tar:
            for name, data in (
                (f"a{shard}.jpg", photo()),
                (f"a{shard}.json", json.dumps({"colour": "red", "seller": 7, "title": "платье"}).encode()),
                (f"b{shard}.png", photo()),
                (f"b{shard}.txt", b"bordovyi"),
                (f"c{shard}.json", b"{}"),
                (f"d{shard}.jpg", photo()),
                (f"d{shard}.json", b"{"),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    found, skipped = rows(tmp_path)
    assert [(row.id, row.colour, row.group) for row in found] == [
        ("a0", "red", "7"),
        ("b0", "burgundy", ""),
        ("a1", "red", "7"),
        ("b1", "burgundy", ""),
    ]
    assert [name for name, _ in skipped] == ["c0", "d0", "c1", "d1"]


def test_a_shard_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """As is one with a name twice; the next shard is read too."""
    names = {"0": ("a.jpg", "a.jpg", "b.jpg"), "1": ("c.jpg", "d.jpg"), "2": ("e.jpg",), "3": ("f.jpg",)}
    for shard, members in names.items():
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as tar:
            for name in members:
                info = tarfile.TarInfo(name)
                info.size = len(photo())
                tar.addfile(info, io.BytesIO(photo()))
    with tarfile.open(tmp_path / "1.tar") as tar:
        midst = tar.getmember("d.jpg").offset_data + len(photo()) // 2
    (tmp_path / "1.tar").write_bytes((tmp_path / "1.tar").read_bytes()[:midst])
    (tmp_path / "2.tar").write_bytes(b"no tar at all")
    found, skipped = rows(tmp_path)
    assert [row.id for row in found] == ["a", "b", "c", "f"]
    assert [name for name, _ in skipped] == ["0.tar", "1.tar", "2.tar"]


def test_cut_outs_beyond_the_cap_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "shop" / "red"
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"{number}.png").write_bytes(clear_png())
    (tmp_path / "street").mkdir()
    _, beyond = stores.build([tmp_path / "shop"], [tmp_path / "street"], tmp_path / "store", cap=2)
    assert beyond == {"red": 3}
    assert len(stores.load(tmp_path / "store").cutouts) == 2


def item(rgb: tuple[int, int, int], seed: int) -> NDArray[np.uint8]:
    """An item with a pattern of its own on transparency."""
    pattern = np.random.default_rng(seed).integers(-60, 60, (6, 6, 1)).astype(np.float32)
    shade = cv2.resize(pattern, (64, 64), interpolation=cv2.INTER_CUBIC)[..., None]
    alpha = cv2.circle(np.zeros((64, 64), np.uint8), (32, 32), 24, 255, -1)
    return np.dstack([np.clip(np.array(rgb) + shade, 0, 255).astype(np.uint8), alpha])


def test_near_duplicates_and_sellers_make_groups() -> None:
    """A smaller copy joins its original; another colour or pattern does not; sellers chain what they sell."""
    first = item((150, 60, 70), 1)
    copy = np.asarray(cv2.resize(cv2.resize(first, (40, 40), interpolation=cv2.INTER_AREA), (64, 64)), np.uint8)
    pictures = np.stack([first, copy, item((60, 150, 70), 1), item((150, 60, 70), 2), item((90, 90, 90), 3)])
    groups = grouped(["", "", "", "anna", "anna"], marks(pictures))
    assert groups[0] == groups[1]
    assert groups[3] == groups[4]
    assert len(set(groups)) == 3


def test_a_split_holds_out_whole_groups() -> None:
    """Never more than the share, never a part of a group, and the same again for the same seed."""
    groups = np.random.default_rng(0).integers(0, 300, 1000)
    held = held_out(groups, 0.1, seed=3)
    assert 0.08 < held.mean() <= 0.1
    assert not set(groups[held]) & set(groups[~held])
    np.testing.assert_array_equal(held, held_out(groups, 0.1, seed=3))
    assert not held_out(np.zeros(50, np.int64), 0.1, seed=0).any()
