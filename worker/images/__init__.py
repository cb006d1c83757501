"""Strangers' photos: which addresses may be called, how their bytes are fetched, and what pixels they hold."""

from worker.images.decode import DecodeLimits, Pixels, decode

__all__ = ["DecodeLimits", "Pixels", "decode"]
