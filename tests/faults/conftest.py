"""Fixtures of this folder."""

from tests.support.fixtures import make_workers, standin

__all__ = ["make_workers", "standin"]
