"""The command's options. What they start is in ``show``, which needs the extra ``demo``; the service does not."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Annotated

import typer

from worker.errors import ConfigurationError


def demo(
    *,
    listings: Annotated[int, typer.Option(min=36, help="How many to publish; twelve of them are broken.")] = 300,
    out: Annotated[Path, typer.Option(help="Folder for photos, page and the worker's log.")] = Path("demo"),
    rate: Annotated[float, typer.Option(min=0.1, help="Listings a second in the steady part.")] = 10.0,
    keep_stack: Annotated[bool, typer.Option("--keep-stack", help="Leave the servers running.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for all answers.")] = 180.0,
) -> None:
    """Publish listings, watch their colours come back, and write a page of them.

    Starts Kafka, Redis, Triton and a photo host on this machine, unless COLOUR_KAFKA__BOOTSTRAP_SERVERS,
    COLOUR_REDIS__URL or COLOUR_TRITON__URL name servers of your own. The exit code is 0 when every listing was
    answered.
    """
    missing = [name for name in ("skimage", "scipy", "jinja2") if util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"the demo needs {', '.join(missing)}: pip install 'colour-tagger[demo]'")
    from worker.demo.show import show  # noqa: PLC0415

    show(count=listings, out=out, rate=rate, keep_stack=keep_stack, timeout=timeout)
