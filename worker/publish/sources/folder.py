"""A folder of photos: one listing a file, its name the title, its subfolder the category."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from worker.publish.draft import Draft, Row

SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def find(root: Path) -> list[Path]:
    """The photos below ``root``, in alphabetical order; hidden files and folders are left out."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def rows(root: Path, files: Iterable[Path]) -> Iterator[Row]:
    """``shoes/red_boots.jpg`` becomes listing ``shoes/red_boots.jpg``, "red boots" in category "shoes"."""
    for file in files:
        relative = file.relative_to(root)
        yield Draft(
            where=str(relative),
            listing_id=relative.as_posix(),
            title=file.stem.replace("_", " ").strip(),
            category=relative.parent.name,
            photos=(relative.as_posix(),),
        )
