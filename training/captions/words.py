"""Colour words in Russian, with full adjective inflection, and in English."""

from __future__ import annotations

from dataclasses import dataclass

from training.captions.items import Gender

_HARD = {
    "m": "ый",
    "f": "ая",
    "n": "ое",
    "pl": "ые",
    "gen": "ого",
    "prep": "ом",
    "acc": "ую",
    "gen_pl": "ых",
    "gen_f": "ой",
}
_STRESSED = _HARD | {"m": "ой"}
_SOFT = {
    "m": "ий",
    "f": "яя",
    "n": "ее",
    "pl": "ие",
    "gen": "его",
    "prep": "ем",
    "acc": "юю",
    "gen_pl": "их",
    "gen_f": "ей",
}
_VELAR = _HARD | {"m": "ий", "pl": "ие", "gen_pl": "их"}


@dataclass(frozen=True, slots=True)
class ColourWords:
    """The ways in which a colour is written.

    Parameters:
        ru: Russian adjectives, masculine nominative.
        ru_nouns: indeclinable or genitive forms that follow «цвета».
        en: English words and phrases.
    """

    ru: tuple[str, ...]
    ru_nouns: tuple[str, ...]
    en: tuple[str, ...]


WORDS: dict[str, ColourWords] = {
    "white": ColourWords(("белый", "белоснежный"), ("белого", "снега"), ("white", "off white", "snow white")),
    "black": ColourWords(("чёрный", "черный", "угольный"), ("чёрного", "черного"), ("black", "jet black")),
    "grey": ColourWords(
        ("серый", "тёмно-серый", "светло-серый", "графитовый", "темно-серый"),
        ("серого", "меланж", "графит", "антрацит"),
        ("grey", "gray", "charcoal", "dark grey", "grey melange", "light gray", "graphite"),
    ),
    "silver": ColourWords(
        ("серебристый", "серебряный", "стальной"), ("серебро", "металлик", "серебра"), ("silver", "steel", "silvery")
    ),
    "beige": ColourWords(
        ("бежевый", "кремовый", "песочный", "телесный", "светло-бежевый"),
        ("беж", "слоновой кости", "крем", "бежевого", "нюд"),
        ("beige", "cream", "nude", "sand", "ecru", "skin"),
    ),
    "brown": ColourWords(
        ("коричневый", "шоколадный", "кофейный", "тёмно-коричневый", "ореховый", "темно-коричневый"),
        ("шоколад", "коричневого", "кофе", "венге"),
        ("brown", "chocolate", "coffee brown", "dark brown", "tan", "walnut"),
    ),
    "gold": ColourWords(("золотой", "золотистый"), ("золото", "золота"), ("gold", "golden")),
    "yellow": ColourWords(
        ("жёлтый", "желтый", "лимонный", "горчичный"), ("жёлтого", "желтого", "горчицы"), ("yellow", "mustard", "lemon")
    ),
    "orange": ColourWords(
        ("оранжевый", "рыжий", "апельсиновый", "терракотовый"),
        ("оранжевого", "апельсина"),
        ("orange", "rust", "terracotta"),
    ),
    "red": ColourWords(("красный", "алый", "ярко-красный"), ("красного", "алого"), ("red", "scarlet", "bright red")),
    "burgundy": ColourWords(
        ("бордовый", "винный", "вишнёвый", "тёмно-красный", "темно-красный"),
        ("бордо", "марсала", "вишни", "бургунди"),
        ("burgundy", "maroon", "wine", "marsala", "dark red"),
    ),
    "pink": ColourWords(
        ("розовый", "малиновый", "пудровый", "нежно-розовый", "ярко-розовый"),
        ("фуксия", "розового", "пудры", "фуксии"),
        ("pink", "fuchsia", "magenta", "rose", "hot pink", "dusty pink"),
    ),
    "purple": ColourWords(
        ("фиолетовый", "сиреневый", "лиловый", "лавандовый", "пурпурный"),
        ("фиолетового", "лаванды", "баклажан"),
        ("purple", "violet", "lilac", "lavender", "plum", "mauve"),
    ),
    "blue": ColourWords(
        ("синий", "тёмно-синий", "темно-синий", "васильковый"),
        ("синего", "индиго", "электрик"),
        ("blue", "navy", "navy blue", "dark blue", "royal blue", "indigo"),
    ),
    "lightblue": ColourWords(
        ("голубой", "светло-голубой", "небесный"),
        ("голубого", "неба"),
        ("light blue", "sky blue", "baby blue", "pale blue"),
    ),
    "turquoise": ColourWords(
        ("бирюзовый", "аквамариновый", "мятно-бирюзовый"),
        ("бирюзы", "тиффани", "морской волны", "бирюзового"),
        ("turquoise", "teal", "aqua", "turquoise blue", "sea green", "cyan"),
    ),
    "green": ColourWords(
        ("зелёный", "зеленый", "изумрудный", "салатовый", "оливковый", "тёмно-зелёный"),
        ("хаки", "зелёного", "изумруда", "оливки"),
        ("green", "olive", "emerald", "dark green", "lime green", "khaki green"),
    ),
    "multicolour": ColourWords(
        ("разноцветный", "цветной", "пёстрый", "радужный", "многоцветный"),
        ("мультиколор", "радуги", "мульти"),
        ("multicolour", "multicolor", "multi", "rainbow", "colourful", "multicoloured"),
    ),
}


def inflect(adjective: str, form: Gender | str) -> str:
    """A Russian colour adjective in another form.

    Parameters:
        adjective: masculine nominative, ending in -ый, -ий or -ой.
        form: ``m``, ``f``, ``n``, ``pl`` (nominative), ``gen``, ``prep`` (masculine and neuter), ``acc``, ``gen_f``
            (feminine), ``gen_pl``.

    Raises:
        ValueError: the word does not end as an adjective does.
    """
    stem, ending = adjective[:-2], adjective[-2:]
    if ending == "ой":
        table = _STRESSED
    elif ending == "ый":
        table = _HARD
    elif ending == "ий":
        table = _VELAR if stem[-1] in "гкхжшщ" else _SOFT
        if stem[-1] in "жшщ":
            table = table | {"n": "ее", "gen": "его", "prep": "ем", "gen_f": "ей"}
    else:
        raise ValueError(f"{adjective!r} does not end in -ый, -ий or -ой")
    return stem + table[form]
