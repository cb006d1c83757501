"""Listing titles made of colour words, item words and the noise around them."""

from __future__ import annotations

import random

from training.captions.items import ITEMS, Gender
from training.captions.words import WORDS, inflect
from training.data.labels import LABELS

BRANDS = (
    "Zara", "H&M", "Nike", "Adidas", "Mango", "Reserved", "Puma", "Uniqlo", "IKEA", "Bershka", "Gloria Jeans", "Befree",
    "O'stin", "Reebok", "Lacoste", "Tommy Hilfiger", "Икеа", "Твое", "Kari", "Ecco", "Titan", "Levis", "Orby",
)  # fmt: skip
NOISE_RU = (
    "новая", "в отличном состоянии", "размер 42", "р. 46-48", "б/у", "торг", "как новое", "S", "XL", "рост 110",
    "на девочку", "для мальчика", "женская", "мужская", "детская", "с биркой", "срочно", "оригинал", "хлопок",
    "натуральная кожа", "самовывоз", "2 шт", "зимняя", "летняя", "на осень", "почти новое", "доставка", "размер M",
)  # fmt: skip
NOISE_EN = (
    "new", "size M", "men", "women", "kids", "used", "cotton", "leather", "with tags", "vintage", "original", "size 42",
    "great condition", "casual", "sport", "2 pcs", "slim fit", "printed", "striped", "summer", "winter",
)  # fmt: skip

_GENITIVE = {"m": "gen", "n": "gen", "f": "gen_f", "pl": "gen_pl"}


def colour_phrase_ru(colour: str, gender: Gender, noun: str, rng: random.Random) -> str:
    """«бордовое платье», «платье бордового цвета», «платье цвета бордо», «платье, бордовый»."""
    words = WORDS[colour]
    adjective = rng.choice(words.ru)
    style = rng.random()
    if style < 0.5:
        return f"{inflect(adjective, gender)} {noun}"
    if style < 0.65:
        return f"{noun} {inflect(adjective, gender)}"
    if style < 0.8:
        return f"{noun} {inflect(adjective, 'gen')} цвета"
    if style < 0.93:
        return f"{noun} цвета {rng.choice(words.ru_nouns)}"
    return f"{noun}, цвет {adjective}"


def caption(colour: str | None, item: int, rng: random.Random, noise: float = 0.5) -> str:
    """One title.

    Parameters:
        colour: the colour that it names, or None for a title that names none.
        item: index into ``ITEMS``, or -1 for a title that names no item.
        rng: the only source of chance.
        noise: the probability of brand, size and condition words.
    """
    russian = rng.random() < 0.6
    kind = ITEMS[item] if item >= 0 else None
    if russian:
        noun, gender = rng.choice(kind.ru) if kind else ("", "m")
        if colour is None:
            text = noun
        elif kind:
            text = colour_phrase_ru(colour, gender, noun, rng)
        else:
            words = WORDS[colour]
            form = rng.choice(("m", "m", "f", "n", "pl"))
            text = inflect(rng.choice(words.ru), form) if rng.random() < 0.8 else f"цвета {rng.choice(words.ru_nouns)}"
    else:
        noun = rng.choice(kind.en) if kind else ""
        word = rng.choice(WORDS[colour].en) if colour else ""
        text = f"{word} {noun}" if rng.random() < 0.75 else f"{noun}, {word}" if word else noun
    parts = [text.strip()]
    pool = NOISE_RU if russian else NOISE_EN
    if rng.random() < noise:
        parts.insert(rng.randint(0, 1), rng.choice(BRANDS))
    while rng.random() < noise:
        parts.insert(rng.randint(0, len(parts)), rng.choice(pool))
    text = " ".join(part for part in parts if part)
    case = rng.random()
    if case < 0.45:
        text = text[:1].upper() + text[1:]
    elif case < 0.5:
        text = text.upper()
    return text


def plain_queries(colour: str, item: int) -> tuple[str, str]:
    """What a buyer types: («бордовое платье», "burgundy dress")."""
    noun, gender = ITEMS[item].ru[0]
    return f"{inflect(WORDS[colour].ru[0], gender)} {noun}", f"{WORDS[colour].en[0]} {ITEMS[item].en[0]}"


def prompts(colour: str) -> list[str]:
    """The texts whose mean embedding is a colour's prototype: every word of it, bare and with «цвета» / "colour"."""
    words = WORDS[colour]
    texts = [inflect(word, form) for word in words.ru for form in ("m", "f", "n", "pl")]
    return texts + [f"цвета {noun}" for noun in words.ru_nouns] + list(words.en)


def corpus(count: int, seed: int) -> list[str]:
    """Titles for training the tokenizer."""
    rng = random.Random(seed)
    return [caption(rng.choice((None, *LABELS)), rng.randrange(-1, len(ITEMS)), rng) for _ in range(count)]
