"""``report.html``: one file that shows every listing with its answer, and the figures of the run."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from worker.colours import NAMES, Colour, ColourName
from worker.demo.ledger import Answered, DeadLetter, Ledger, Speed, speed
from worker.demo.process import Lookups
from worker.events import ListingColoured, ReleaseNames

_THUMBNAIL = 288
_ORIGINAL_BYTES = 360


@dataclass(frozen=True, slots=True)
class Run:
    """What a report is made of.

    Parameters:
        ledger: all that was sent and answered.
        first, again: the cache's lookups while listings were published for the first and the second time.
        rate: listings a second of the steady part.
        finished: when.
        photos: the folder of the photos.
    """

    ledger: Ledger
    first: Lookups
    again: Lookups
    rate: float
    finished: datetime
    photos: Path


@dataclass(frozen=True, slots=True)
class Card:
    """One answered listing.

    Parameters:
        thumbnail: a data URI.
        painted: the colour that its thing was painted with; None where nobody painted it.
    """

    title: str
    category: str
    thumbnail: str
    name: ColourName
    confidence: float
    top: tuple[tuple[ColourName, float], ...]
    uncertain: bool
    painted: ColourName | None
    milliseconds: float
    inline: bool
    text_used: bool

    @property
    def agrees(self) -> bool:
        """Whether the answer is what the thing was painted with."""
        return self.painted is self.name


@dataclass(frozen=True, slots=True)
class Dead:
    """One dead letter. ``original`` is its value, cut."""

    title: str
    reason: str
    message: str
    attempts: int
    original: str
    cut: int


@dataclass(frozen=True, slots=True)
class Share:
    """How many things of one painted colour were given that colour."""

    name: ColourName
    right: int
    all: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run."""

    events: int
    labelled: int
    uncertain: int
    postponed: int
    dead: int
    twice: int
    burst: Speed
    steady: Speed
    again: Speed
    painted: int
    painted_right: int
    release: ReleaseNames | None


def summarise(run: Run) -> Summary:
    """Count. Outcomes are those of the first time that each listing was published."""
    first = [answer for answer in run.ledger.answers() if answer.sent.part != "again"]
    outputs = [(answer, answer.content) for answer in first if isinstance(answer.content, ListingColoured)]
    decisions = Counter(output.decision for _, output in outputs)
    painted = [
        (answer.sent.listing.colour, output.colour)
        for answer, output in outputs
        if answer.sent.listing.colour is not None
    ]
    return Summary(
        events=len(first),
        labelled=decisions["labelled"],
        uncertain=decisions["uncertain"],
        postponed=run.ledger.retried(),
        dead=len(first) - len(outputs),
        twice=run.ledger.twice(),
        burst=speed(run.ledger.answers("burst")),
        steady=speed(run.ledger.answers("steady")),
        again=speed(run.ledger.answers("again")),
        painted=len(painted),
        painted_right=sum(truth is answer for truth, answer in painted),
        release=outputs[-1][1].release if outputs else None,
    )


def write(run: Run, path: Path) -> None:
    """Write the page. Everything that came from a listing is escaped."""
    answers = sorted(
        (answer for answer in run.ledger.answers() if answer.sent.part != "again"),
        key=lambda answer: answer.sent.listing.listing_id,
    )
    cards = [
        _card(answer, answer.content, run.photos) for answer in answers if isinstance(answer.content, ListingColoured)
    ]
    # The surest of each colour, then the second of each, and so on: any screen of the page shows many colours.
    cards.sort(key=lambda card: -card.confidence)
    each = [[card for card in cards if card.name.colour is colour] for colour in Colour]
    cards = [card for row in zip_longest(*each) for card in row if card is not None]
    counts = Counter(card.name.colour for card in cards)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        run=run,
        summary=summarise(run),
        cards=cards,
        dead=[_dead(answer, answer.content) for answer in answers if isinstance(answer.content, DeadLetter)],
        counts=[(NAMES[colour], counts[colour]) for colour in Colour if counts[colour]],
        shares=_shares(cards),
    )
    path.write_text(page, encoding="utf-8")


def _card(answer: Answered, output: ListingColoured, photos: Path) -> Card:
    listing = answer.sent.listing
    return Card(
        title=listing.title,
        category=listing.category,
        thumbnail=_thumbnail(photos / listing.shot.file) if listing.shot else "",
        name=NAMES[output.colour],
        confidence=output.confidence,
        top=tuple((NAMES[candidate.colour], candidate.probability) for candidate in output.top),
        uncertain=output.decision == "uncertain",
        painted=NAMES[listing.colour] if listing.colour else None,
        milliseconds=answer.seconds * 1000,
        inline=listing.inline,
        text_used=output.text_used,
    )


def _dead(answer: Answered, letter: DeadLetter) -> Dead:
    return Dead(
        title=answer.sent.listing.title,
        reason=letter.reason,
        message=letter.message,
        attempts=letter.attempts,
        original=letter.value[:_ORIGINAL_BYTES].decode("utf-8", "backslashreplace"),
        cut=max(0, len(letter.value) - _ORIGINAL_BYTES),
    )


def _shares(cards: Sequence[Card]) -> list[Share]:
    painted = Counter(card.painted.colour for card in cards if card.painted)
    right = Counter(card.name.colour for card in cards if card.agrees)
    return [Share(NAMES[colour], right[colour], painted[colour]) for colour in Colour if painted[colour]]


def _thumbnail(file: Path) -> str:
    with Image.open(file) as photo:
        small = photo.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=72)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
