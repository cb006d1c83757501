"""What is written about a shadowed listing: both answers side by side, so that comparing needs one topic only."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from worker.colours import Colour
from worker.events import Candidate, ReleaseNames, Source
from worker.tagger import Labelled


class Verdict(BaseModel):
    """One release's answer.

    Parameters:
        milliseconds: that Triton took for the batch's photos, texts and heads under this release; of a batch whose
            embeddings were cached it is the head alone. ``None``: not measured.
    """

    model_config = ConfigDict(frozen=True)

    colour: Colour
    decision: Literal["labelled", "uncertain"]
    confidence: float
    top: tuple[Candidate, ...]
    release: ReleaseNames
    milliseconds: float | None

    @classmethod
    def of(cls, answer: Labelled, milliseconds: float | None) -> Self:
        """As the tagger gave it."""
        return cls(
            colour=answer.top[0].colour,
            decision="labelled" if answer.certain else "uncertain",
            confidence=answer.top[0].probability,
            top=answer.top,
            release=answer.release.names,
            milliseconds=milliseconds,
        )


class ListingShadowed(BaseModel):
    """Both answers to one event (Kafka key = ``listing_id``).

    Parameters:
        source: the record that both answer; the listing's photos and words stand there.
        live: what was published.
        shadow: what the candidate says.
        batch: listings that the candidate answered together; what ``milliseconds`` was for.
    """

    model_config = ConfigDict(frozen=True)

    schema_: Literal["listing.shadowed.v1"] = Field(
        default="listing.shadowed.v1", alias="schema", serialization_alias="schema"
    )
    event_id: str
    listing_id: str
    category: str
    source: Source
    live: Verdict
    shadow: Verdict
    batch: int
    shadowed_at: AwareDatetime

    @classmethod
    def of(
        cls,
        source: Source,
        live: Labelled,
        shadow: Labelled,
        *,
        milliseconds: tuple[float | None, float | None],
        batch: int,
        now: datetime,
    ) -> Self:
        """Put two answers together.

        Parameters:
            milliseconds: live's and the candidate's.
        """
        return cls(
            event_id=live.event.event_id,
            listing_id=live.event.listing_id,
            category=live.event.category,
            source=source,
            live=Verdict.of(live, milliseconds[0]),
            shadow=Verdict.of(shadow, milliseconds[1]),
            batch=batch,
            shadowed_at=now,
        )

    @property
    def differs(self) -> bool:
        """Whether the two name different colours."""
        return self.live.colour is not self.shadow.colour
