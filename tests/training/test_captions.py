"""Titles: Russian agreement, and what a generated title names."""

import random

import pytest

from training.captions.items import ITEMS
from training.captions.titles import caption, plain_queries
from training.captions.words import WORDS, inflect
from training.data.labels import LABELS


@pytest.mark.parametrize(
    ("adjective", "form", "expected"),
    [
        ("бордовый", "n", "бордовое"),
        ("синий", "f", "синяя"),
        ("синий", "n", "синее"),
        ("синий", "gen", "синего"),
        ("голубой", "m", "голубой"),
        ("золотой", "pl", "золотые"),
        ("рыжий", "f", "рыжая"),
        ("рыжий", "n", "рыжее"),
        ("розовый", "gen_f", "розовой"),
        ("тёмно-зелёный", "gen_pl", "тёмно-зелёных"),
    ],
)
def test_colour_adjectives_agree_with_their_nouns(adjective: str, form: str, expected: str) -> None:
    """Hard, soft and stressed declensions."""
    assert inflect(adjective, form) == expected


def test_what_is_no_adjective_is_refused() -> None:
    """A noun has no agreement."""
    with pytest.raises(ValueError, match="does not end in"):
        inflect("беж", "f")


def test_every_colour_has_words_that_inflect() -> None:
    """A missing entry would leave a colour without captions."""
    assert set(WORDS) == set(LABELS)
    for words in WORDS.values():
        assert all(inflect(word, form) for word in words.ru for form in ("m", "f", "n", "pl", "gen"))


def test_a_buyers_query_names_colour_and_item_in_both_languages() -> None:
    """The example of the issue."""
    dress = next(i for i, item in enumerate(ITEMS) if item.key == "dress")
    assert plain_queries("burgundy", dress) == ("бордовое платье", "burgundy dress")


def test_titles_repeat_with_their_seed() -> None:
    """Chance comes from the generator that is passed in, and from nowhere else."""
    first = [caption("red", 3, random.Random(7)) for _ in range(3)]
    assert first == [caption("red", 3, random.Random(7)) for _ in range(3)]
