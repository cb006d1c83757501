"""Dead letters: looked at, counted, and put back once the cause is mended."""

from worker.deadletters.cli import deadletters_app

__all__ = ["deadletters_app"]
