"""Which dead letters were put back: a compacted topic, written in the transaction that puts them back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import AwareDatetime, BaseModel

from worker.deadletters.letter import DeadLetter
from worker.deadletters.reading import Snapshot
from worker.settings import Settings
from worker.stream import topics
from worker.stream.topics import Topics


class Entry(BaseModel):
    """The value of one record; its key is the dead letter's ``<partition>:<offset>``.

    Parameters:
        written: the dead letter's timestamp. It tells the letter from one that has its offset since the dead-letter
            topic was deleted and made anew.
        redriven: when it was put back.
    """

    written: AwareDatetime
    redriven: AwareDatetime


class Ledger:
    """What the topic said when it was read.

    Parameters:
        entries: by the dead letter's place.
    """

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)

    @classmethod
    def read(cls, settings: Settings, topic: str) -> Ledger:
        """Read all of it; without the topic nothing was put back yet."""
        entries: dict[str, Entry] = {}
        with Snapshot(settings, topic) as snapshot:
            for record in snapshot.records() if snapshot.exists else ():
                place = record.key.decode()
                if record.value is None:
                    entries.pop(place, None)
                else:
                    entries[place] = Entry.model_validate_json(record.value)
        return cls(entries)

    def __contains__(self, letter: DeadLetter) -> bool:
        entry = self._entries.get(letter.place)
        return entry is not None and entry.written == letter.written

    def expired(self, beginnings: Mapping[int, int]) -> list[str]:
        """Places whose dead letters are gone: their entries can go as well.

        Parameters:
            beginnings: first offset of each partition of the dead-letter topic.
        """
        found = []
        for place in self._entries:
            partition, offset = map(int, place.split(":"))
            if offset < beginnings.get(partition, 0):
                found.append(place)
        return found


def entry(letter: DeadLetter, now: datetime) -> tuple[bytes, bytes]:
    """Key and value of the record that says: put back."""
    return letter.place.encode(), Entry(written=letter.written, redriven=now).model_dump_json().encode()


def ensure(settings: Settings, names: Topics) -> None:
    """Create the topic if it is missing: one partition, compacted, so that an entry lives as long as its letter.

    Raises:
        ConfigurationError: it may not or cannot be created.
    """
    topics.ensure(settings, [names.redriven], partitions=1, configs={"cleanup.policy": "compact"})
