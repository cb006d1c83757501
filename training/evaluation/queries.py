"""Buyers filter by text: «бордовое платье» and "burgundy dress" against the photos, by precision at 10.

Two ways to rank the photos for a query, both by the served towers alone:

- cosine: the query's embedding against each photo's. One number must then weigh colour against item, and photos that
  lie far from all texts (busy rooms) are last whatever they show.
- parts: the text tower says which colour, which item and which pair of both the query names, as distributions over the
  prototypes of colour words, item words and plain queries; the head says how probable each colour is in the photo, and
  the image tower how probable each item and each pair is, by the same prototypes. The score is the product of the three
  probabilities that photo and query mean the same: one for each of the losses that the tower was trained with
  (``stages.encoder``). Colour and item alone would be enough were they independent, given the photo.

The photos' labels are used to judge the ranking, and for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from training.captions.items import ITEMS, item_of
from training.captions.titles import plain_queries, prompts
from training.evaluation.measures import COLOURS, Floats, precision_at
from training.evaluation.photos import Photos
from training.evaluation.release import Served

Way = Literal["cosine", "parts"]

# A query with fewer right photos than this says little: chance decides which one comes first.
_ENOUGH = 3
# Of the cosines before the softmax: what the towers were trained with, a query's (stages.text) and a photo's (encoder).
_OF_TEXTS, _OF_PHOTOS = 12.0, 18.0


@dataclass(frozen=True)
class Words:
    """Prototypes: mean embeddings of words in both languages.

    Parameters:
        colours: of the colours' words, float32 [18, D].
        items: of the items' words, float32 [I, D].
        pairs: of the plain queries for both together, float32 [18 * I, D].
    """

    colours: Floats
    items: Floats
    pairs: Floats

    @classmethod
    def of(cls, served: Served) -> Words:
        """As the served text tower embeds them."""
        return cls(
            colours=np.stack([_mean(served, prompts(str(colour))) for colour in COLOURS]),
            items=np.stack([_mean(served, [*(noun for noun, _ in item.ru), *item.en]) for item in ITEMS]),
            pairs=np.stack(
                [_mean(served, [*plain_queries(str(colour), item)]) for colour in COLOURS for item in range(len(ITEMS))]
            ),
        )


def scores(served: Served, words: Words, query: str, *, images: Floats, colours: Floats, way: Way) -> Floats:
    """How well each photo fits a query, float32 [n]; only the order counts.

    Parameters:
        served: whose text encoder is asked.
        words: its prototypes.
        query: in either language.
        images: embeddings of the photos, float32 [n, D].
        colours: the head's probabilities of the photos, float32 [n, 18] in the order of ``Colour``.
        way: see the module.
    """
    asked = served.embed_texts([query])
    if way == "cosine":
        return np.asarray(images @ asked[0], np.float32)
    same_colour = colours @ _softmax(_OF_TEXTS * asked @ words.colours.T)[0]
    same_item, same_pair = (
        _softmax(_OF_PHOTOS * images @ prototypes.T) @ _softmax(_OF_TEXTS * asked @ prototypes.T)[0]
        for prototypes in (words.items, words.pairs)
    )
    return np.asarray(same_colour * same_item * same_pair, np.float32)


def precision(
    served: Served,
    photos: Photos,
    *,
    words: Words,
    images: Floats,
    colours: Floats,
    language: Literal["ru", "en"],
    way: Way,
) -> dict[str, float]:
    """Query -> precision at 10, for every pair of colour and item that at least three photos show.

    Parameters:
        served: whose encoders are asked.
        images, colours: of the photos, see ``scores``.
        photos: with agreed colours and items.
        words: see ``scores``.
        language: of the queries.
        way: see the module.
    """
    items = np.array([item_of(item) for item in photos.items])
    truth = np.array([COLOURS.index(colour) if colour is not None else -1 for colour in photos.truth])
    found = {}
    for item in range(len(ITEMS)):
        for number, colour in enumerate(COLOURS):
            relevant = (items == item) & (truth == number)
            if relevant.sum() < _ENOUGH:
                continue
            query = plain_queries(str(colour), item)[0 if language == "ru" else 1]
            found[query] = precision_at(scores(served, words, query, images=images, colours=colours, way=way), relevant)
    return found


def _mean(served: Served, texts: list[str]) -> Floats:
    mean = served.embed_texts(texts).mean(0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


def _softmax(logits: npt.NDArray[np.floating[Any]]) -> Floats:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)
