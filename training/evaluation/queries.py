"""Buyers filter by text: «бордовое платье» and "burgundy dress" against the photos, by precision at 10."""

from __future__ import annotations

from typing import Literal

import numpy as np

from training.captions.items import ITEMS, item_of
from training.captions.titles import plain_queries
from training.evaluation.measures import COLOURS, Floats, precision_at
from training.evaluation.photos import Photos
from training.evaluation.release import Served

# A query with fewer right photos than this says little: chance decides which one comes first.
_ENOUGH = 3


def precision(served: Served, images: Floats, photos: Photos, language: Literal["ru", "en"]) -> dict[str, float]:
    """Query -> precision at 10, for every pair of colour and item that at least three photos show.

    Parameters:
        served: whose text encoder is asked.
        images: embeddings of the photos, float32 [n, width].
        photos: with agreed colours and items.
        language: of the queries.
    """
    items = np.array([item_of(item) for item in photos.items])
    colours = np.array([COLOURS.index(colour) if colour is not None else -1 for colour in photos.truth])
    found = {}
    for item in range(len(ITEMS)):
        for number, colour in enumerate(COLOURS):
            relevant = (items == item) & (colours == number)
            if relevant.sum() < _ENOUGH:
                continue
            query = plain_queries(str(colour), item)[0 if language == "ru" else 1]
            found[query] = precision_at(images @ served.embed_texts([query])[0], relevant)
    return found
