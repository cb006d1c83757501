"""``colour-worker run`` starts by the short way, and says what can be mended in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys

_LONG_WAY = ("typer", "worker.cli", "worker.demo", "worker.publish", "worker.replay", "deploy.local")
_RUN = f"""
import sys
sys.argv[1:] = ["run"]
from worker.start import main
try:
    main()
finally:
    sys.stdout.write(" ".join(name for name in {_LONG_WAY!r} if name in sys.modules))
"""


def _start(code: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_worker_imports_no_other_command_and_says_which_setting_is_wrong() -> None:
    done = _start(_RUN, COLOUR_KAFKA__COMPRESSION="zip")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "COLOUR_KAFKA__COMPRESSION" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_that_nobody_can_mend_keeps_its_traceback() -> None:
    done = _start("from worker.start import readable\nwith readable():\n    raise RuntimeError('a bug')")
    assert done.returncode == 1
    assert "RuntimeError: a bug" in done.stderr
    assert "Traceback" in done.stderr
