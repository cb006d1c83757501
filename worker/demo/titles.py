"""What sellers write: Russian and English titles that now and then name the colour, and often do not."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from worker.colours import NAMES, Colour

Gender = Literal["m", "f", "n", "p"]
"""Of a Russian noun: masculine, feminine, neuter, plural."""


@dataclass(frozen=True, slots=True)
class Noun:
    """What a thing is called.

    Parameters:
        ru, gender, en: its names.
        category: the marketplace's.
    """

    ru: str
    gender: Gender
    en: str
    category: str


NOUNS: dict[str, Noun] = {
    "mug": Noun("кружка", "f", "mug", "Посуда"),
    "teapot": Noun("чайник", "m", "teapot", "Посуда"),
    "vase": Noun("ваза", "f", "vase", "Интерьер"),
    "chair": Noun("стул", "m", "chair", "Стулья"),
    "armchair": Noun("кресло", "n", "armchair", "Кресла"),
    "table": Noun("столик", "m", "coffee table", "Столы"),
    "car": Noun("автомобиль", "m", "car", "Автомобили"),
    "handbag": Noun("сумка", "f", "handbag", "Сумки"),
    "suitcase": Noun("чемодан", "m", "suitcase", "Сумки"),
    "lamp": Noun("настольная лампа", "f", "table lamp", "Освещение"),
    "plush_cat": Noun("игрушка котик", "f", "plush cat", "Игрушки"),
    "boots": Noun("резиновые сапоги", "p", "rubber boots", "Обувь"),
    "cushion": Noun("подушка", "f", "cushion", "Текстиль"),
    "t-shirt": Noun("футболка", "f", "T-shirt", "Одежда для девочек"),
    "sweater": Noun("свитер", "m", "sweater", "Одежда для девочек"),
    "dress": Noun("платье", "n", "dress", "Одежда для девочек"),
    "trousers": Noun("брюки", "p", "trousers", "Одежда для девочек"),
    "skirt": Noun("юбка", "f", "skirt", "Одежда для девочек"),
    "coat": Noun("пальто", "n", "coat", "Одежда для девочек"),
    "beanie": Noun("шапка", "f", "beanie", "Одежда для девочек"),
    "cup": Noun("чашка с блюдцем", "f", "cup and saucer", "Посуда"),
    "suit": Noun("комбинезон", "m", "flight suit", "Одежда"),
    "motorcycle": Noun("мотоцикл", "m", "motorcycle", "Мотоциклы"),
    "astronaut": Noun("постер с астронавтом", "m", "astronaut poster", "Интерьер"),
    "cat": Noun("котёнок", "m", "kitten", "Животные"),
    "coffee": Noun("кофейная пара", "f", "espresso cup", "Посуда"),
    "rocket": Noun("фотокартина с ракетой", "f", "rocket print", "Интерьер"),
    "coins": Noun("коллекция монет", "f", "coin collection", "Коллекции"),
    "helmet": Noun("шлем", "m", "helmet", "Экипировка"),
    "model rocket": Noun("модель шаттла", "f", "shuttle model", "Коллекции"),
    "galaxies": Noun("фотообои с галактиками", "p", "galaxy wallpaper", "Интерьер"),
}

_RU = (
    "{Noun}", "{Noun}, почти как на фото", "Продаётся {noun}", "{Noun}, самовывоз", "{Noun} в хорошем состоянии",
    "{Noun}, торг уместен", "{Noun}. Отдам недорого", "{Noun}, срочно", "{Noun}, Санкт-Петербург",
)  # fmt: skip
_RU_COLOURED = ("{Adjective} {noun}", "{Noun}, цвет {masculine}", "{Noun} ({masculine})")
_EN = (
    "{Noun}", "{Noun}, hardly used", "{Noun} in good condition", "Lovely {noun}", "{Noun}, pick-up only", "Used {noun}",
    "{Noun} for a good home",
)  # fmt: skip
_EN_COLOURED = ("{Colour} {noun}", "{Noun}, {colour}", "{Noun} ({colour})")
_DESCRIPTIONS = (
    "", "", "", "Без царапин и пятен, из квартиры без животных.", "Куплено в прошлом году, почти не пользовались.",
    "Бронь по договорённости. Пишите в сообщения.", "From a smoke-free home. Collection in the evening.",
)  # fmt: skip


def write(subject: str, colour: Colour | None, rng: random.Random) -> tuple[str, str, str]:
    """Title, description and category for a listing; the title may be empty.

    Parameters:
        colour: what the title says if it says one; None when the photo has none to name.
    """
    noun = NOUNS[subject]
    if rng.random() < 0.10:
        return "", "", noun.category
    coloured = colour is not None and rng.random() < 0.28
    if rng.random() < 0.62:
        title = rng.choice(_RU_COLOURED if coloured else _RU).format(
            noun=noun.ru,
            Noun=_capital(noun.ru),
            masculine=NAMES[colour].ru if colour else "",
            Adjective=_capital(inflect(NAMES[colour].ru, noun.gender)) if colour else "",
        )
    else:
        title = rng.choice(_EN_COLOURED if coloured else _EN).format(
            noun=noun.en,
            Noun=_capital(noun.en),
            colour=NAMES[colour].en if colour else "",
            Colour=_capital(NAMES[colour].en) if colour else "",
        )
    return title, rng.choice(_DESCRIPTIONS), noun.category


def inflect(adjective: str, gender: Gender) -> str:
    """A Russian colour adjective, given in the masculine, in the nominative of another gender.

    ``("синий", "f")`` -> ``"синяя"``; ``("золотой", "p")`` -> ``"золотые"``.
    """
    stem, soft = adjective[:-2], adjective.endswith("ний")
    endings = {"f": "яя", "n": "ее", "p": "ие"} if soft else {"f": "ая", "n": "ое", "p": "ые"}
    return adjective if gender == "m" else stem + endings[gender]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
