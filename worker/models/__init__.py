"""Triton: what is live (``releases``) and how it is asked (``client``)."""

from worker.models.client import Triton
from worker.models.releases import Encoder, Head, Release, Releases

__all__ = ["Encoder", "Head", "Release", "Releases", "Triton"]
