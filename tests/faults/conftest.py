"""Fixtures of this folder."""

from tests.support.fixtures import deployment, make_workers, standin

__all__ = ["deployment", "make_workers", "standin"]
