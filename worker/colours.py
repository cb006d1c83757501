"""The 18 colours: the one palette that the worker, the training package and every report share.

The order below is a display order (achromatic, metallic and brown, then around the hue circle). A model's own label
order is NOT this one: it is read from the model repository (see ``worker.models.releases``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Colour(StrEnum):
    """A colour slug, as it stands in events, file names and model labels."""

    WHITE = "white"
    BLACK = "black"
    GREY = "grey"
    SILVER = "silver"
    BEIGE = "beige"
    BROWN = "brown"
    GOLD = "gold"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"
    BURGUNDY = "burgundy"
    PINK = "pink"
    PURPLE = "purple"
    BLUE = "blue"
    LIGHTBLUE = "lightblue"
    TURQUOISE = "turquoise"
    GREEN = "green"
    MULTICOLOUR = "multicolour"


@dataclass(frozen=True, slots=True)
class ColourName:
    """How a colour is called and shown.

    Parameters:
        colour: the slug.
        ru: the Russian adjective, masculine nominative, as a buyer filters by it.
        en: the English name.
        avito: the code in Avito's data.
        swatch: a CSS colour or gradient that stands for it on a page.
    """

    colour: Colour
    ru: str
    en: str
    avito: str
    swatch: str


_METAL = "linear-gradient(135deg, {0} 0%, {1} 45%, {0} 60%, {2} 100%)"

NAMES: dict[Colour, ColourName] = {
    name.colour: name
    for name in (
        ColourName(Colour.WHITE, "белый", "white", "belyi", "#ffffff"),
        ColourName(Colour.BLACK, "чёрный", "black", "chernyi", "#1a1a1a"),
        ColourName(Colour.GREY, "серый", "grey", "seryi", "#8c8c8c"),
        ColourName(
            Colour.SILVER, "серебристый", "silver", "serebristyi", _METAL.format("#b4b8bf", "#f4f6f8", "#8f959d")
        ),
        ColourName(Colour.BEIGE, "бежевый", "beige", "bezhevyi", "#dcc7a1"),
        ColourName(Colour.BROWN, "коричневый", "brown", "korichnevyi", "#7b4a26"),
        ColourName(Colour.GOLD, "золотой", "gold", "zolotoi", _METAL.format("#c9992e", "#f8e7a6", "#96691a")),
        ColourName(Colour.YELLOW, "жёлтый", "yellow", "zheltyi", "#f7d417"),
        ColourName(Colour.ORANGE, "оранжевый", "orange", "oranzhevyi", "#f4801f"),
        ColourName(Colour.RED, "красный", "red", "krasnyi", "#d7191f"),
        ColourName(Colour.BURGUNDY, "бордовый", "burgundy", "bordovyi", "#6d1028"),
        ColourName(Colour.PINK, "розовый", "pink", "rozovyi", "#f48fb1"),
        ColourName(Colour.PURPLE, "фиолетовый", "purple", "fioletovyi", "#7a35a8"),
        ColourName(Colour.BLUE, "синий", "blue", "sinii", "#1f4fb5"),
        ColourName(Colour.LIGHTBLUE, "голубой", "light blue", "goluboi", "#86c5ec"),
        ColourName(Colour.TURQUOISE, "бирюзовый", "turquoise", "biryuzovyi", "#27b8b0"),
        ColourName(Colour.GREEN, "зелёный", "green", "zelenyi", "#2f8b3a"),
        ColourName(
            Colour.MULTICOLOUR,
            "разноцветный",
            "multicolour",
            "raznocvetnyi",
            "conic-gradient(#d7191f, #f4801f, #f7d417, #2f8b3a, #1f4fb5, #7a35a8, #d7191f)",
        ),
    )
}

BY_AVITO_CODE: dict[str, Colour] = {name.avito: name.colour for name in NAMES.values()}
