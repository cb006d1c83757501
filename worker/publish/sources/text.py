"""Lines of a text file, with how far it was read and what could not be decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from worker.publish.draft import Row

UNDECODABLE = "\ufffd"


class Lines:
    """A file's lines, decoded one by one: a wrong byte spoils its own row only.

    Parameters:
        path: the file.
        encoding: its encoding; bytes that are not in it become U+FFFD, which ``undecodable`` finds.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self.path = path
        self.size = path.stat().st_size
        self.read = 0
        self.encoding = encoding

    def __iter__(self) -> Iterator[str]:
        first = True
        with self.path.open("rb") as file:
            for line in file:
                self.read += len(line)
                # The byte order mark belongs to the first line; "utf-8-sig" would look for one on every line.
                encoding = self.encoding if first else self.encoding.removesuffix("-sig")
                first = False
                yield line.decode(encoding, errors="replace")

    def with_position(self, rows: Iterable[Row]) -> Iterator[tuple[int, Row]]:
        """Each row with the number of bytes read so far."""
        for row in rows:
            yield self.read, row

    def undecodable(self, *texts: str) -> str | None:
        """The sentence for a row that holds bytes of another encoding; None when all is well."""
        if any(UNDECODABLE in text for text in texts):
            return f"not {self.encoding.removesuffix('-sig')}: give --encoding, for example cp1251"
        return None
