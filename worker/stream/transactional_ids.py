"""Transactional ids: they say which producer of which group it is."""

from __future__ import annotations

_BETWEEN = ":"
"""Stands in no producer's name. A group's may hold it, and may begin with the whole name of another group."""


def join(group: str, producer: str) -> str:
    """The transactional id of one of a group's producers.

    Parameters:
        producer: tells it from the group's others; an instance, or a command. Without ``:``.
    """
    return f"{group}{_BETWEEN}{producer}"


def split(name: str) -> tuple[str, str]:
    """Group and producer of an id that ``join`` made. The group of a stranger's id without ``:`` is ``""``."""
    group, _, producer = name.rpartition(_BETWEEN)
    return group, producer
