"""The demo's listings: what they show, what they say, and what is wrong with the broken ones.

The same number always gives the same listings, so a second run finds its photos made and their embeddings cached.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from worker.colours import Colour
from worker.demo import titles
from worker.demo.photos.cuttings import ORIGINALS, THINGS
from worker.demo.photos.outlines import GARMENTS
from worker.demo.photos.shots import Shot, Technique
from worker.demo.photos.solids import SOLIDS

Fault = Literal[
    "missing photo", "text named .jpg", "truncated", "malformed JSON", "private address", "no photo", "no id"
]

BROKEN: tuple[tuple[Fault, str], ...] = (
    ("missing photo", "Самокат детский"),
    ("missing photo", "Road bike, needs a new chain"),
    ("text named .jpg", "Настенные часы"),
    ("text named .jpg", "Picture frame"),
    ("truncated", "Ковёр в гостиную"),
    ("truncated", "Garden chair"),
    ("malformed JSON", "Книжная полка"),
    ("malformed JSON", "Bookshelf"),
    ("private address", "Роутер домашний"),
    ("private address", "Cloud server, barely used"),
    ("no photo", "Отдам даром"),
    ("no id", "Радиоприёмник"),
)
"""One of each kind at least, whatever the number of listings."""

_SEED = 2026
_SUFFIXES = (".jpg", ".jpg", ".jpg", ".jpg", ".jpg", ".jpg", ".png", ".webp")


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing of the demo.

    Parameters:
        shot: its photo; None when it is broken.
        inline: the photo's bytes stand in the event.
        digest: the event names the photo's sha256.
        fault: what is wrong with it.
    """

    listing_id: str
    title: str
    description: str
    category: str
    shot: Shot | None
    inline: bool = False
    digest: bool = False
    fault: Fault | None = None

    @property
    def colour(self) -> Colour | None:
        """The colour that its thing was painted with, where it was painted."""
        return self.shot.colour if self.shot else None


def plan(count: int) -> list[Listing]:
    """``count`` listings, the broken ones among them, in random order.

    Raises:
        ValueError: fewer than three for each broken one.
    """
    if count < 3 * len(BROKEN):
        raise ValueError(f"the demo needs at least {3 * len(BROKEN)} listings: {len(BROKEN)} of them are broken")
    rng = random.Random(_SEED)
    whole = count - len(BROKEN)
    subjects = _subjects(whole, rng)
    listings = [_listing(number, technique, subject, colour, rng) for number, (technique, subject, colour) in subjects]
    listings += [
        Listing(f"demo-broken-{number:02d}", title, "", "", None, fault=fault)
        for number, (fault, title) in enumerate(BROKEN, start=1)
    ]
    rng.shuffle(listings)
    return listings


def _subjects(count: int, rng: random.Random) -> list[tuple[int, tuple[Technique, str, Colour | None]]]:
    """What the photos show: all things in all colours by turns, one in eight of a photo that was taken."""
    taken: list[tuple[Technique, str, Colour | None]] = [("original", name, None) for name in ORIGINALS]
    taken += [("recoloured", name, colour) for colour in Colour for name in THINGS if colour is not Colour.MULTICOLOUR]
    rng.shuffle(taken)
    drawn: list[tuple[Technique, str]] = [("solid", name) for name in SOLIDS]
    drawn += [("garment", name) for name in GARMENTS]
    colours: list[Colour] = []
    chosen = taken[: count // 8]
    while len(chosen) < count:
        colours = colours or rng.sample(list(Colour), len(Colour))
        things = rng.sample(drawn, len(drawn))
        chosen += [(technique, name, (colours := colours or list(Colour)).pop()) for technique, name in things]
    return list(enumerate(chosen[:count], start=1))


def _listing(number: int, technique: Technique, subject: str, colour: Colour | None, rng: random.Random) -> Listing:
    title, description, category = titles.write(subject, colour, rng)
    file = f"{number:04d}-{subject.replace('_', '-').replace(' ', '-')}{rng.choice(_SUFFIXES)}"
    return Listing(
        listing_id=f"demo-{number:04d}",
        title=title,
        description=description,
        category=category,
        shot=Shot(file, technique, subject, colour, seed=_SEED * 10_000 + number),
        inline=rng.random() < 0.08,
        digest=rng.random() < 0.5,
    )
