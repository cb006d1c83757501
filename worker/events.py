"""The contracts with the other teams: what comes in, what goes out, what is set aside.

JSON Schemas of these models are written to ``deploy/schemas/`` by ``colour-worker schemas``.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from worker.colours import Colour
from worker.errors import Reason, Rejected

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]


class Incoming(BaseModel):
    """What others write: unknown fields are ignored, types are not guessed."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Outgoing(BaseModel):
    """What we write: nothing undeclared leaves the house."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Photo(Incoming):
    """One photo of a listing: by URL, or inline.

    Parameters:
        url: http(s) address; treated as immutable, as a marketplace's photo URLs are.
        data: the file's bytes in base64, instead of ``url``.
        sha256: hex digest of the file's bytes; names the photo in the cache and is checked after download.
    """

    url: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    data: str | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.url is None) == (self.data is None):
            raise ValueError("a photo has either 'url' or 'data'; give exactly one")
        return self


class ListingCreated(Incoming):
    """A new listing, as the marketplace publishes it (Kafka key = ``listing_id``)."""

    schema_: Literal["listing.created.v1"] = Field(alias="schema")
    event_id: Identifier
    listing_id: Identifier
    occurred_at: Annotated[AwareDatetime, Field(strict=False)]
    title: Annotated[str, StringConstraints(max_length=100_000)] = ""
    description: Annotated[str, StringConstraints(max_length=1_000_000)] = ""
    category: Annotated[str, StringConstraints(max_length=1_000)] = ""
    images: Annotated[list[Photo], Field(max_length=100)] = []

    @classmethod
    def parse(cls, value: bytes | None) -> ListingCreated:
        """Read one Kafka record's value.

        Raises:
            Rejected: ``malformed_json`` or ``invalid_event``, naming the first field that is wrong.
        """
        if value is None:
            raise Rejected(Reason.INVALID_EVENT, "the record has no value (a tombstone)")
        try:
            return cls.model_validate_json(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            if first["type"] == "json_invalid":
                raise Rejected(Reason.MALFORMED_JSON, first["msg"]) from None
            where = ".".join(str(part) for part in first["loc"]) or "event"
            raise Rejected(Reason.INVALID_EVENT, f"{where}: {first['msg']}") from None


class Candidate(Outgoing):
    """One of the most probable colours."""

    colour: Colour
    probability: Annotated[float, Field(ge=0, le=1)]


class ReleaseNames(Outgoing):
    """Which versions made an answer, each as ``<version>@<fingerprint>``."""

    image: str
    text: str
    head: str


class Source(Outgoing):
    """The Kafka record that an answer belongs to: the first one, also after retries."""

    topic: str
    partition: int
    offset: int
    timestamp: AwareDatetime


class ListingColoured(Outgoing):
    """The colour of a listing (Kafka key = ``listing_id``).

    ``decision`` is ``"uncertain"`` when the calibrated confidence lies below the release's threshold; ``colour`` is the
    most probable one all the same.
    """

    schema_: Literal["listing.coloured.v1"] = Field(
        default="listing.coloured.v1", alias="schema", serialization_alias="schema"
    )
    event_id: str
    listing_id: str
    decision: Literal["labelled", "uncertain"]
    colour: Colour
    colour_ru: str
    confidence: Annotated[float, Field(ge=0, le=1)]
    top: list[Candidate]
    images_used: Annotated[int, Field(ge=1)]
    text_used: bool
    release: ReleaseNames
    source: Source
    run: str
    labelled_at: AwareDatetime
