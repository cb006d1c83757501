"""``colour-worker publish``: a user's own listings onto the topic of new listings."""

from worker.publish.command import publish

__all__ = ["publish"]
