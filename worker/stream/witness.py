"""What is told of a commit: metrics, and whoever else wants to know what readers can see now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from worker.observe import metrics
from worker.tagger import Labelled

if TYPE_CHECKING:
    from worker.stream.transactions import Answer

Witness = Callable[["Sequence[Answer]"], None]
"""Is told of committed answers, on the committer's thread: it must be quick and raise nothing."""


def no_witness(_answers: Sequence[Answer]) -> None:
    """Nobody."""


def count(answers: Sequence[Answer], dead: str, now: datetime) -> None:
    """Enter committed answers into the metrics.

    Parameters:
        dead: the topic of dead letters.
        now: when the transaction was made.
    """
    releases = Counter(answer.outcome.release for answer in answers if isinstance(answer.outcome, Labelled))
    for release, number in releases.items():
        metrics.ANSWERS.labels(**release.names.model_dump()).inc(number)
    for answer in answers:
        if isinstance(answer.outcome, Labelled):
            metrics.OUTCOMES.labels("labelled" if answer.outcome.certain else "uncertain").inc()
            metrics.LABELS.labels(answer.outcome.top[0].colour.value).inc()
        else:
            given_up = answer.publication is None or answer.publication.topic == dead
            kind = "rejected" if given_up else "postponed"
            metrics.OUTCOMES.labels(kind).inc()
            metrics.FAILURES.labels(kind, answer.outcome.reason.value).inc()
        metrics.LATENCY.observe(max(0.0, (now - answer.item.envelope.source.timestamp).total_seconds()))
