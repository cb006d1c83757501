from __future__ import annotations

from datetime import UTC, datetime

import pytest

from worker.replay.ranges import Bound

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("36h", Bound(time=datetime(2026, 1, 31, 0, tzinfo=UTC))),
        ("2026-01-31T12:00:00Z", Bound(time=datetime(2026, 1, 31, 12, tzinfo=UTC))),
        ("1200", Bound(offset=1200)),
        ("0:100,3:200", Bound(offsets={0: 100, 3: 200})),
    ],
)
def test_a_bound_is_a_time_a_duration_an_offset_or_offsets(text: str, bound: Bound) -> None:
    assert Bound.parse(text, NOW) == bound


@pytest.mark.parametrize("text", ["", "-5", "yesterday", "2026-01-31T12:00:00", "0:1,0:2", "0:1,", "1.5", "0:x"])
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"write a time|names a partition twice"):
        Bound.parse(text, NOW)
