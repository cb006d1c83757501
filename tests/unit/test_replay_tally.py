from __future__ import annotations

import numpy as np
import pytest

from worker.colours import Colour
from worker.replay.previous import Last
from worker.replay.tally import Tally


def test_the_fullest_tally_fits_beside_an_offset_and_comes_back() -> None:
    counters = np.random.default_rng(1).integers(0, 2**32, 348, dtype=np.uint64)
    encoded = Tally(counters).encode()
    assert len(encoded) < 4096  # offset.metadata.max.bytes
    assert Tally.decode(encoded) == Tally(counters)


def test_nothing_beside_an_offset_is_an_empty_tally() -> None:
    assert Tally.decode("") == Tally.decode(None) == Tally()


@pytest.mark.parametrize("metadata", ["a note of somebody else", "1:AAAA", "1:eJwDAAAAAAE="])
def test_what_is_no_tally_is_refused(metadata: str) -> None:
    with pytest.raises(ValueError, match="tally"):
        Tally.decode(metadata)


def test_tallies_of_partitions_add_up() -> None:
    one, other = Tally(), Tally()
    one.count("labelled", 2)
    other.count("labelled", 3)
    other.count("skipped")
    both = one + other
    assert (both["labelled"], both["skipped"], both.total, both.answered) == (5, 1, 6, 5)


def test_moves_are_counted_by_colour_before_and_after_and_no_answer_before_is_a_row_of_its_own() -> None:
    tally = Tally()
    tally.move(None, Colour.RED)
    for _ in range(3):
        tally.move(Last(Colour.BURGUNDY, uncertain=False), Colour.RED)
    tally.move(Last(Colour.MULTICOLOUR, uncertain=True), Colour.MULTICOLOUR)
    rows, columns = (None, *Colour), tuple(Colour)
    grid = tally.grid()
    assert grid.shape == (19, 18)
    assert {(rows[row], columns[column]): int(grid[row, column]) for row, column in np.argwhere(grid)} == {
        (None, Colour.RED): 1,
        (Colour.BURGUNDY, Colour.RED): 3,
        (Colour.MULTICOLOUR, Colour.MULTICOLOUR): 1,
    }
