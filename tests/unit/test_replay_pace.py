from __future__ import annotations

from worker.replay.pace import Rate


def test_a_rate_holds_over_a_minute_and_allows_no_burst_of_more_than_a_second() -> None:
    now = 0.0
    rate = Rate(50, lambda: now)
    read = 0
    for _ in range(600):
        now += 0.1
        allowed = rate.allowance(512)
        rate.spend(allowed)
        read += allowed
    assert read == 3000
    now += 3600
    assert rate.allowance(512) == 50


def test_a_rate_below_one_lets_an_event_through_now_and_then() -> None:
    now = 0.0
    rate = Rate(0.5, lambda: now)
    read = 0
    for _ in range(80):
        now += 0.125
        allowed = rate.allowance(512)
        rate.spend(allowed)
        read += allowed
    assert read == 5


def test_no_rate_allows_all() -> None:
    assert Rate(None).allowance(512) == 512
