"""Structured logs: lines for a person at a terminal, JSON for a collector. Payloads and secrets never go in."""

from __future__ import annotations

import logging
import sys

import structlog

from worker.settings import ObserveSettings


def configure(settings: ObserveSettings) -> None:
    """Send our logs and those of libraries (warnings and worse) to standard error in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = settings.log_format == "json"
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        # The default shows the local variables of every frame: payloads, and passwords on their way to a client.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    if as_json:
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # Ten lines a second for as long as it lasts; ``worker.stream.positions`` says it once in a while.
    logging.getLogger("kafka.coordinator.consumer").addFilter(
        lambda record: "UnstableOffsetCommit" not in record.getMessage()
    )
    for ours in ("worker", "deploy"):
        logging.getLogger(ours).setLevel(settings.log_level.upper())
