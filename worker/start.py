"""``colour-worker``: the console script. ``run`` starts without what only other commands import.

Of the time from a worker's start to its first answer more than half goes into imports (see docs/performance.md), and
whoever scales out, or restarts a worker, waits for them.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ALLOCATIONS = 10_000
"""Between two looks for garbage in cycles, of which a batch leaves none. With Python's own 700 they took some 3 % of an
event's processor time, see docs/performance.md."""


def main() -> None:
    """Do what the command line says."""
    # Nothing that an import makes is ever garbage, and looking for some takes a tenth of the imports' time.
    gc.disable()
    gc.set_threshold(ALLOCATIONS)
    if sys.argv[1:] == ["run"]:
        with readable():
            run()
        return
    from worker import cli  # noqa: PLC0415 - it imports every command

    gc.enable()
    cli.main()


def run() -> None:
    """Tag new listings until SIGTERM."""
    import asyncio  # noqa: PLC0415 - this and what follows: only once it is known that a worker is to run

    from worker import service  # noqa: PLC0415
    from worker.observe import logs  # noqa: PLC0415
    from worker.settings import Settings  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    settings = Settings.load()
    logs.configure(settings.observe)
    asyncio.run(service.run(settings))


@contextmanager
def readable() -> Iterator[None]:
    """Errors that a person can mend end the process with one sentence, not with a traceback."""
    try:
        yield
    except Exception as error:
        code = _tell(error)
        if code is None:
            raise
        sys.exit(code)


def _tell(error: Exception) -> int | None:
    """Say what can be mended, and the exit code for it; ``None``: nothing of that kind."""
    from kafka.errors import KafkaError  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from worker.errors import ColourTaggerError  # noqa: PLC0415

    errors = Console(stderr=True, highlight=False)
    if isinstance(error, ColourTaggerError):
        errors.print(str(error), style="bold red", markup=False)
        return 2
    if isinstance(error, KafkaError):
        errors.print(f"Kafka: {type(error).__name__}: {error}", style="bold red", markup=False)
        errors.print("Is COLOUR_KAFKA__BOOTSTRAP_SERVERS right, and does the broker run?")
        return 3
    return None
