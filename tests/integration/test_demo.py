"""``colour-worker demo`` from end to end, on the session's servers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from deploy.local.kafka import KafkaServer
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer

REASONS = {
    "photo_not_found": 2, "not_an_image": 2, "truncated_image": 2, "malformed_json": 2, "blocked_address": 2,
    "no_photo": 1, "invalid_event": 1,
}  # fmt: skip


def test_every_listing_is_answered_once_and_stands_on_the_page(
    kafka: KafkaServer, redis: RedisServer, standin: TritonServer, unique: str, tmp_path: Path
) -> None:
    """Of 36 listings 24 get a colour, 12 are dead letters for their own reasons; published again, the cache answers."""
    environment = {
        **os.environ, **kafka.settings(), **redis.settings(), **standin.settings(),
        "COLOUR_TOPICS__CREATED": unique, "COLOUR_TOPICS__COLOURED": f"{unique}.coloured",
        "COLOUR_TOPICS__RETRY_PREFIX": f"{unique}.retry", "COLOUR_TOPICS__DEAD": f"{unique}.dead",
        "COLOUR_STREAM__GROUP": unique,
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-c", "from worker.cli import main; main()", "demo",
         "--listings", "36", "--rate", "20", "--out", str(tmp_path)],
        env=environment, capture_output=True, text=True, check=False, timeout=170,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "each answered once" in ended.stdout
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count('<article class="card') == 24
    assert Counter(re.findall(r'<span class="reason">(\w+)</span>', page)) == REASONS
    # Two of them were tried again, by the retry topics, before they were given up.
    assert len(re.findall(r'<td class="right">4</td>', page)) == 2
    assert re.search(r"the same again .* cache hits 100%", ended.stdout)
