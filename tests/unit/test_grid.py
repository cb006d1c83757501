"""The colour-to-colour grid on a terminal and in a pipe."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from worker import grid
from worker.colours import Colour

ROWS = (None, *Colour)


def counts() -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """12,345 stay red, 7 go from red to pink, 2 had no colour before; every colour has kept 1."""
    made = np.zeros((len(ROWS), len(Colour)), np.int64)
    np.fill_diagonal(made[1:], 1)
    red, pink = list(Colour).index(Colour.RED), list(Colour).index(Colour.PINK)
    made[1 + red, red], made[1 + red, pink], made[0, red] = 12_345, 7, 2
    return made


def terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(
        grid, "Console", lambda: Console(force_terminal=True, width=width, color_system=None, legacy_windows=False)
    )


def test_in_a_pipe_everything_is_there_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    grid.show(ROWS, counts(), before="before", now="now")
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["before \\ now", *Colour]
    assert [line[0] for line in lines[1:]] == ["(none)", *Colour]
    assert np.array_equal(np.array([line[1:] for line in lines[1:]], dtype=np.int64), counts())


def test_a_wide_terminal_shows_every_colour_and_rounds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(monkeypatch, 140)
    grid.show(ROWS, counts(), before="before", now="now")
    shown = capsys.readouterr().out
    assert "12k" in shown
    assert all(colour.value in shown for colour in Colour)
    assert max(map(len, shown.splitlines())) <= 140


def test_a_narrow_terminal_leaves_out_what_did_not_move(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(monkeypatch, 80)
    grid.show(ROWS, counts(), before="before", now="now")
    shown = capsys.readouterr().out
    assert "colours that only stayed are left out" in shown
    assert "turquoise" not in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (999, "999"), (1_000, "1.0k"), (9_949, "9.9k"), (9_950, "10k"), (12_345, "12k"), (999_400, "999k"),
     (999_600, "1.0M"), (2_300_000, "2.3M"), (45_000_000, "45M"), (7_000_000_000, "7.0G")],
)  # fmt: skip
def test_large_numbers_are_rounded_to_four_characters(number: int, shown: str) -> None:
    assert grid.rounded(number) == shown
