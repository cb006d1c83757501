"""Logs tell what happened, and nobody's secrets."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import sys, structlog
from worker.observe import logs
from worker.settings import ObserveSettings
logs.configure(ObserveSettings(log_format=sys.argv[1]))
def fails(payload):
    password = "wet-" + "paint"
    raise ValueError("a bug")
try:
    fails("who-" + "am-i")
except ValueError:
    structlog.get_logger("worker.any").exception("tagging_failed")
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_no_values(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, timeout=60, check=True)
    assert "tagging_failed" in done.stderr
    assert "ValueError: a bug" in done.stderr
    assert "wet-paint" not in done.stdout + done.stderr
    assert "who-am-i" not in done.stdout + done.stderr
    if form == "json":
        assert json.loads(done.stderr)["event"] == "tagging_failed"
