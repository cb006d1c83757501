"""Liveness and readiness, by what the stream did last."""

from __future__ import annotations

from worker.observe.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[Progress, Clock]:
    clock = Clock()
    return Progress(60, clock), clock


def test_a_loop_that_stopped_turning_is_dead() -> None:
    progress, clock = make()
    clock.now = 61
    assert not progress.alive(neighbour_away=False).ok


def test_records_that_wait_without_progress_are_a_stall() -> None:
    progress, clock = make()
    progress.measured(partitions=2, waiting=10)
    clock.now = 61
    progress.turned(reading=True)
    verdict = progress.alive(neighbour_away=False)
    assert not verdict.ok
    assert "10 records wait" in verdict.reason


def test_waiting_for_a_neighbour_is_no_stall() -> None:
    progress, clock = make()
    progress.measured(partitions=2, waiting=10)
    clock.now = 3600
    progress.turned(reading=False)
    assert progress.alive(neighbour_away=True).ok


def test_an_empty_topic_is_no_stall() -> None:
    progress, clock = make()
    clock.now = 3600
    progress.turned(reading=True)
    progress.measured(partitions=2, waiting=0)
    assert progress.alive(neighbour_away=False).ok


def test_ready_means_a_release_and_partitions() -> None:
    progress, _ = make()
    assert not progress.ready(release_loaded=False).ok
    assert not progress.ready(release_loaded=True).ok
    progress.measured(partitions=1, waiting=0)
    assert progress.ready(release_loaded=True).ok
