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
    outcomes: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    failures: Counter[tuple[str, str]] = Counter()
    # By identity: a batch knows one release object, and to hash a release for each event would cost more than the rest.
    releases: dict[int, Labelled] = {}
    released: Counter[int] = Counter()
    for answer in answers:
        if isinstance(answer.outcome, Labelled):
            outcomes["labelled" if answer.outcome.certain else "uncertain"] += 1
            labels[answer.outcome.top[0].colour.value] += 1
            releases[id(answer.outcome.release)] = answer.outcome
            released[id(answer.outcome.release)] += 1
        else:
            given_up = answer.publication is None or answer.publication.topic == dead
            kind = "rejected" if given_up else "postponed"
            outcomes[kind] += 1
            failures[kind, answer.outcome.reason.value] += 1
        metrics.LATENCY.observe(max(0.0, (now - answer.item.envelope.source.timestamp).total_seconds()))
    for name, number in outcomes.items():
        metrics.OUTCOMES.labels(name).inc(number)
    for colour, number in labels.items():
        metrics.LABELS.labels(colour).inc(number)
    for (name, reason), number in failures.items():
        metrics.FAILURES.labels(name, reason).inc(number)
    for identity, number in released.items():
        metrics.ANSWERS.labels(**releases[identity].release.names.model_dump()).inc(number)
