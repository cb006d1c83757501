"""``colour-worker demo``: listings through real servers, watched, and a page of the answers."""

from worker.demo.command import demo

__all__ = ["demo"]
