"""colour-worker: gives every new marketplace listing one of 18 colours."""

from importlib.metadata import version

__version__ = version("colour-tagger")
