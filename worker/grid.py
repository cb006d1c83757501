"""A colour-to-colour grid on a terminal, or tab-separated in a pipe: how a replay or a candidate moves labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.colours import NAMES, Colour

COLUMNS = tuple(Colour)
_WIDTH, _WIDTH_BESIDE = 5, 21
_SHORT = {Colour.LIGHTBLUE: "ltbl", Colour.BURGUNDY: "burg"}


def show(rows: Sequence[Colour | None], counts: npt.NDArray[np.int64], *, before: str, now: str) -> None:
    """Print how many went from the colour of the row to that of the column.

    Parameters:
        rows: the colours before; ``None``: none.
        counts: int64 [len(rows), 18], columns in the palette's order. On a terminal rows and columns of zeros are left
            out and large numbers rounded (``12k``), and on a narrow one what did not move is left out too; in a pipe
            everything is there, exactly.
        before, now: what rows and columns are called.
    """
    console = Console()
    if not console.is_terminal:
        typer.echo("\t".join([f"{before} \\ {now}", *COLUMNS]))
        for row, numbers in zip(rows, counts, strict=True):
            typer.echo("\t".join([_name(row), *map(str, numbers)]))
        return
    used = [at for at in range(len(COLUMNS)) if counts[:, at].any()]
    if _WIDTH_BESIDE + _WIDTH * len(used) > console.width:
        moved = np.array([[COLUMNS[at] is not row for at in range(len(COLUMNS))] for row in rows]) & (counts > 0)
        used = [at for at in used if moved[:, at].any()]
        keep = [at for at, row in enumerate(rows) if moved[at].any()]
        rows, counts = [rows[at] for at in keep], counts[keep]
        typer.echo("(colours that only stayed are left out; a wider terminal shows them)")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), title=f"{before} (rows) to {now} (columns)")
    table.add_column(no_wrap=True)
    for at in used:
        table.add_column(_head(COLUMNS[at]), justify="right", no_wrap=True)
    table.add_column("all", justify="right", no_wrap=True)
    for row, numbers in zip(rows, counts, strict=True):
        if not numbers.any():
            continue
        cells = [_cell(int(numbers[at]), same=COLUMNS[at] is row) for at in used]
        table.add_row(_named(row), *cells, Text(rounded(int(numbers.sum()))))
    console.print(table)


def rounded(number: int) -> str:
    """``950`` -> ``"950"``, ``12345`` -> ``"12k"``, ``2_300_000`` -> ``"2.3M"``: never more than four characters."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 1000)):
        if number >= 0.9995 * size:
            share = number / size
            return f"{share:.1f}{unit}" if share < 9.95 else f"{share:.0f}{unit}"
    return str(number)


def _name(colour: Colour | None) -> str:
    return "(none)" if colour is None else colour.value


def _head(colour: Colour) -> Text:
    return Text(_SHORT.get(colour, colour.value[:4]))


def _named(colour: Colour | None) -> Text:
    if colour is None:
        return Text("  (none)", style="dim")
    swatch = NAMES[colour].swatch
    dot = Text("■ ", style=swatch if swatch.startswith("#") else "default")
    return dot + Text(colour.value)


def _cell(number: int, *, same: bool) -> Text:
    if number == 0:
        return Text("·", style="dim")
    return Text(rounded(number), style="dim" if same else "bold")
