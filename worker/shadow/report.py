"""The page that a person looks at before activating a candidate: figures, the colour-to-colour grid, and photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from worker.colours import NAMES, ColourName
from worker.events import ListingCreated, ReleaseNames
from worker.shadow.comparison import COLOURS, Comparison
from worker.shadow.record import ListingShadowed, Verdict


@dataclass(frozen=True, slots=True)
class Opinion:
    """One release's answer on a card.

    Parameters:
        others: the next most probable colours.
    """

    name: ColourName
    confidence: float
    uncertain: bool
    others: tuple[tuple[ColourName, float], ...]

    @classmethod
    def of(cls, verdict: Verdict) -> Opinion:
        """As it was given."""
        return cls(
            NAMES[verdict.colour],
            verdict.confidence,
            verdict.decision == "uncertain",
            tuple((NAMES[one.colour], one.probability) for one in verdict.top[1:3]),
        )


@dataclass(frozen=True, slots=True)
class Card:
    """One listing on which the two differ.

    Parameters:
        thumbnail: a data URI; empty when there is no photo (any more).
        photos: how many the listing has; 0 when Kafka does not keep it any more.
    """

    listing_id: str
    title: str
    category: str
    thumbnail: str
    photos: int
    live: Opinion
    shadow: Opinion


@dataclass(frozen=True, slots=True)
class Bar:
    """A colour's shares, as per cent of the most frequent one for drawing.

    Parameters:
        change: relative, of the number of listings; ``None`` where the active release never named the colour.
    """

    name: ColourName
    live: int
    shadow: int
    change: float | None
    live_width: float
    shadow_width: float


@dataclass(frozen=True, slots=True)
class Part:
    """One of the three models: its name, the active's and the candidate's version."""

    name: str
    live: str
    shadow: str

    @property
    def changes(self) -> bool:
        """Whether the candidate brings another one."""
        return self.live != self.shadow


def write(
    comparison: Comparison,
    examples: Sequence[ListingShadowed],
    listings: Mapping[str, ListingCreated],
    thumbnails: Mapping[str, str],
    path: Path,
    *,
    now: datetime,
) -> None:
    """Write the page, one file. Everything that came from a listing is escaped.

    Parameters:
        examples: the cards, in order.
        listings: by event id; may lack some.
        thumbnails: data URIs by event id; may lack some.
        now: stands on the page.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    live, shadow = comparison.latencies
    page = environment.get_template("compare.html.j2").render(
        comparison=comparison,
        now=now,
        parts=_parts(comparison.live, comparison.shadow),
        command=_command(comparison.live, comparison.shadow),
        latency={"live": live, "shadow": shadow},
        uncertain={
            "live": comparison.uncertain[1].sum() / comparison.listings,
            "shadow": comparison.uncertain[:, 1].sum() / comparison.listings,
        },
        bars=_bars(comparison),
        columns=[NAMES[colour] for colour in COLOURS if comparison.grid[:, COLOURS.index(colour)].any()],
        rows=_rows(comparison),
        moves=[(NAMES[before], NAMES[after], count) for before, after, count in comparison.moves],
        cards=[_card(record, listings.get(record.event_id), thumbnails) for record in examples],
    )
    path.write_text(page, encoding="utf-8")


def _card(record: ListingShadowed, listing: ListingCreated | None, thumbnails: Mapping[str, str]) -> Card:
    return Card(
        listing_id=record.listing_id,
        title=listing.title if listing else "",
        category=record.category,
        thumbnail=thumbnails.get(record.event_id, ""),
        photos=len(listing.images) if listing else 0,
        live=Opinion.of(record.live),
        shadow=Opinion.of(record.shadow),
    )


def _bars(comparison: Comparison) -> list[Bar]:
    shifts = comparison.shifts
    most = max(max(one.live, one.shadow) for one in shifts)
    return [
        Bar(
            NAMES[one.colour],
            one.live,
            one.shadow,
            (one.shadow - one.live) / one.live if one.live else None,
            100 * one.live / most,
            100 * one.shadow / most,
        )
        for one in shifts
    ]


def _rows(comparison: Comparison) -> list[tuple[ColourName, int, list[tuple[ColourName, int, float]]]]:
    """(colour, listings, cells) for each colour that the active release named; a cell holds its share of the row."""
    used = [at for at in range(len(COLOURS)) if comparison.grid[:, at].any()]
    rows = []
    for at, colour in enumerate(COLOURS):
        total = int(comparison.grid[at].sum())
        if total:
            counts = [int(comparison.grid[at, column]) for column in used]
            cells = [(NAMES[COLOURS[column]], n, n / total) for column, n in zip(used, counts, strict=True)]
            rows.append((NAMES[colour], total, cells))
    return rows


def _parts(live: ReleaseNames, shadow: ReleaseNames) -> list[Part]:
    return [
        Part("image encoder", live.image, shadow.image),
        Part("text encoder", live.text, shadow.text),
        Part("head", live.head, shadow.head),
    ]


def _command(live: ReleaseNames, shadow: ReleaseNames) -> str:
    """The command that activates the candidate; it names what changes."""
    changed = [
        f"--{name} {candidate.split('@')[0]}"
        for name, active, candidate in zip(
            ("image", "text", "head"), live.model_dump().values(), shadow.model_dump().values(), strict=True
        )
        if active != candidate
    ]
    return " ".join(["colour-worker models activate", *changed])
