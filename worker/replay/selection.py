"""Which records of the range are replayed: by category, by their last answer, or the originals of dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ValidationError

from worker.colours import Colour
from worker.deadletters.letter import DeadLetter
from worker.replay.previous import PreviousAnswers
from worker.stream.envelope import Envelope


class _Categorised(BaseModel):
    category: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """A record is replayed when it fits all that is given.

    Parameters:
        category: the event's category, to the letter.
        colour: the colour of its last answer.
        uncertain: its last answer is uncertain.
        dead: the topic holds dead letters, and their originals are meant.
    """

    category: str | None = None
    colour: Colour | None = None
    uncertain: bool = False
    dead: bool = False

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """``category=…``, ``colour=…``, ``uncertain``, ``dead``; any of them together.

        Raises:
            ValueError: something else, or two that exclude each other; the message says what to write.
        """
        chosen: dict[str, Any] = {}
        for text in texts:
            name, _, value = text.partition("=")
            if name in chosen:
                raise ValueError(f"--only {name} is given twice")
            if name == "category" and value:
                chosen[name] = value
            elif name == "colour" and value:
                if value not in {colour.value for colour in Colour}:
                    raise ValueError(f"{value!r} is no colour; one of {', '.join(colour.value for colour in Colour)}")
                chosen[name] = Colour(value)
            elif text in ("uncertain", "dead"):
                chosen[text] = True
            else:
                raise ValueError(f"--only {text!r}: write category=…, colour=…, uncertain or dead")
        selection = cls(**chosen)
        if selection.dead and selection.needs_answers:
            raise ValueError("--only dead goes with neither colour nor uncertain: a dead letter had no answer")
        return selection

    @property
    def needs_answers(self) -> bool:
        """Whether the last answers decide."""
        return self.colour is not None or self.uncertain

    def open(self, record: Any) -> Envelope | None:
        """The event of a kafka-python ``ConsumerRecord``; ``None`` for a dead letter that holds no original."""
        if not self.dead:
            return Envelope.open(record, retried=False)
        letter = DeadLetter.open(record)
        if letter is None or letter.omitted is not None:
            return None
        return Envelope(letter.key, letter.value, letter.headers, letter.source)

    def wants(self, envelope: Envelope, previous: PreviousAnswers | None) -> bool:
        """Whether the event is replayed. One that cannot be read belongs to no category."""
        if self.needs_answers:
            last = previous.of(envelope.source) if previous is not None else None
            if last is None or (self.uncertain and not last.uncertain):
                return False
            if self.colour is not None and last.colour is not self.colour:
                return False
        if self.category is None:
            return True
        try:
            return _Categorised.model_validate_json(envelope.value or b"").category == self.category
        except ValidationError:
            return False
