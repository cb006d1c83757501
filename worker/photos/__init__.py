"""Listings' photos as pixels: fetched and decoded in processes of their own, or on the worker's own event loop."""

from worker.photos.loading import Loaded, PhotoLoader, loading
from worker.photos.processes import PhotoProcesses

__all__ = ["Loaded", "PhotoLoader", "PhotoProcesses", "loading"]
