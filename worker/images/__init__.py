"""Strangers' photos: which addresses may be called, how their bytes are fetched, and what pixels they hold."""

from worker.images.decode import Pixels, decode, decode_whole
from worker.images.fetch import FetchLimits, PhotoFetcher
from worker.images.guard import AddressPolicy
from worker.images.header import DecodeLimits
from worker.images.inline import decode_inline

__all__ = [
    "AddressPolicy",
    "DecodeLimits",
    "FetchLimits",
    "PhotoFetcher",
    "Pixels",
    "decode",
    "decode_inline",
    "decode_whole",
]
