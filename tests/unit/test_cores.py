"""How many cores a worker in a container counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker import cores

HERE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("110000 100000\n", min(HERE, 2)),
        ("100000000 100000\n", HERE),
        ("max 100000\n", HERE),
        ("", HERE),
    ],
)
def test_a_quota_counts_rounded_up_and_never_for_more_than_there_are(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert cores.usable(tmp_path / "cpu.max") == expected


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert cores.usable(tmp_path / "none") == HERE
