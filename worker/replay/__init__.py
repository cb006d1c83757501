"""Runs a stretch of a topic again, beside live traffic and without touching it."""

from worker.replay.command import replay

__all__ = ["replay"]
