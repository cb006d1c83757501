"""Triton: what is live (``releases``, ``following``) and how it is asked (``client``)."""

from worker.models.client import Triton
from worker.models.following import Releases
from worker.models.releases import Encoder, Head, Release
from worker.models.shadowing import Shadowing

__all__ = ["Encoder", "Head", "Release", "Releases", "Shadowing", "Triton"]
