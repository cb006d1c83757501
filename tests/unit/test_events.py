"""What is accepted from other teams, and what is said of the rest."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import Reason, Rejected
from worker.events import ListingCreated

VALID: dict[str, Any] = {
    "schema": "listing.created.v1",
    "event_id": "e-1",
    "listing_id": "l-1",
    "occurred_at": "2026-01-31T12:00:00Z",
    "title": "Бордовое платье",
    "images": [{"url": "https://photos.example/1.jpg"}],
}


def encode(**changes: Any) -> bytes:
    return json.dumps({**VALID, **changes}).encode()


def test_a_valid_event_is_read_and_unknown_fields_are_ignored() -> None:
    event = ListingCreated.parse(encode(price=100, seller={"id": 7}))
    assert (event.listing_id, event.title, event.images[0].url) == (
        "l-1",
        "Бордовое платье",
        "https://photos.example/1.jpg",
    )


@pytest.mark.parametrize("value", [b"", b"{", b'{"a": 1', b"\xff\xfe{}", b"[1,"])
def test_what_is_not_json_is_malformed(value: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        ListingCreated.parse(value)
    assert caught.value.reason is Reason.MALFORMED_JSON


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schema": "listing.created.v2"}, "schema"),
        ({"listing_id": ""}, "listing_id"),
        ({"listing_id": 7}, "listing_id"),
        ({"listing_id": "a\x00b"}, "listing_id"),
        ({"listing_id": "x" * 257}, "listing_id"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2026-01-31T12:00:00"}, "occurred_at"),
        ({"title": None}, "title"),
        ({"images": {"url": "https://a.example"}}, "images"),
        ({"images": [{"url": "https://a.example", "data": "AAAA"}]}, "images.0"),
        ({"images": [{}]}, "images.0"),
        ({"images": [{"url": "https://a.example", "sha256": "abc"}]}, "images.0.sha256"),
        ({"images": [{"url": "https://a.example"}] * 101}, "images"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected) as caught:
        ListingCreated.parse(encode(**changes))
    assert caught.value.reason is Reason.INVALID_EVENT
    assert caught.value.message.startswith(f"{field}:")


def test_a_tombstone_is_no_event() -> None:
    with pytest.raises(Rejected, match="tombstone"):
        ListingCreated.parse(None)


def test_a_rejection_never_repeats_the_payload() -> None:
    secret = "token=hunter2" * 1000
    with pytest.raises(Rejected) as caught:
        ListingCreated.parse(encode(listing_id={"secret": secret}))
    assert "hunter2" not in caught.value.message
    assert len(caught.value.message) <= 500


@given(st.binary(max_size=300))
def test_any_bytes_end_as_an_event_or_a_reasoned_rejection(value: bytes) -> None:
    with contextlib.suppress(Rejected):  # any other exception fails the test
        ListingCreated.parse(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from([*sorted(VALID), "description", "category"]), json_values)
def test_any_field_of_any_shape_ends_as_an_event_or_a_reasoned_rejection(field: str, value: Any) -> None:
    with contextlib.suppress(Rejected):
        ListingCreated.parse(encode(**{field: value}))


def test_deep_nesting_is_refused_without_exhausting_the_stack() -> None:
    with pytest.raises(Rejected):
        ListingCreated.parse(b'{"x":' * 100_000)
