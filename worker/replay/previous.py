"""The last answer to every event of the ranges, as the topic of colours has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

from worker.colours import Colour
from worker.deadletters.reading import Snapshot
from worker.events import Source
from worker.replay.ranges import Range
from worker.settings import Settings

COLOURS = tuple(Colour)
_CODES = {colour.value: index + 1 for index, colour in enumerate(COLOURS)}
_UNCERTAIN = 32
"""Added to the code of a colour, which is 1 to 18; 0 is no answer."""

_TOLD_EVERY = 10_000


class _Place(BaseModel):
    topic: str
    partition: int
    offset: int


class _Answer(BaseModel):
    """What of an output is needed here; the rest is passed over."""

    decision: str
    colour: str
    run: str
    source: _Place


@dataclass(frozen=True, slots=True)
class Last:
    """An event's last answer."""

    colour: Colour
    uncertain: bool


class PreviousAnswers:
    """One byte for each offset of the ranges, and nothing else, however many answers there are.

    Parameters:
        topic: the ranges' topic.
        ranges: whose answers are remembered.
    """

    def __init__(self, topic: str, ranges: Sequence[Range]) -> None:
        self._topic = topic
        self._starts = {r.partition: r.start for r in ranges}
        self._codes: Mapping[int, npt.NDArray[np.uint8]] = {
            r.partition: np.zeros(r.end - r.start, dtype=np.uint8) for r in ranges
        }

    @classmethod
    def read(
        cls,
        settings: Settings,
        coloured: str,
        topic: str,
        ranges: Sequence[Range],
        *,
        run: str,
        since: datetime | None,
        tell: Callable[[int], None],
    ) -> PreviousAnswers:
        """Read the topic of colours once, up to its present end.

        Parameters:
            coloured: where the answers are.
            run: answers of this run do not count: a replay that is resumed is compared with what was before it.
            since: answers written before it are certainly not about the ranges; ``None``: read from the beginning.
            tell: is told how many answers were read.

        Raises:
            KafkaError: Kafka does not answer.
        """
        answers = cls(topic, ranges)
        with Snapshot(settings, coloured) as snapshot:
            for count, record in enumerate(snapshot.records(since) if snapshot.exists else (), 1):
                if record.value is not None:
                    answers.note(record.value, run)
                if count % _TOLD_EVERY == 0:
                    tell(count)
        return answers

    def note(self, value: bytes, run: str) -> None:
        """Remember one output; it takes the place of an earlier one. What is no output of ours is passed over."""
        try:
            answer = _Answer.model_validate_json(value)
        except ValidationError:
            return
        place = answer.source
        codes = self._codes.get(place.partition)
        code = _CODES.get(answer.colour)
        if answer.run == run or place.topic != self._topic or codes is None or code is None:
            return
        index = place.offset - self._starts[place.partition]
        if 0 <= index < len(codes):
            codes[index] = code + _UNCERTAIN * (answer.decision == "uncertain")

    def of(self, source: Source) -> Last | None:
        """The last answer to the event at this place; ``None`` when there is none."""
        codes = self._codes.get(source.partition)
        if source.topic != self._topic or codes is None:
            return None
        index = source.offset - self._starts[source.partition]
        code = int(codes[index]) if 0 <= index < len(codes) else 0
        if code == 0:
            return None
        return Last(COLOURS[code % _UNCERTAIN - 1], code >= _UNCERTAIN)
