"""Which group and producer a transactional id names."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from worker.settings import StreamSettings
from worker.stream.transactional_ids import join, split


@pytest.mark.parametrize("group", ["colour", "colour-b", "colour:b", "colour.replay.1"])
@pytest.mark.parametrize("producer", ["pod-0", "b-pod-0", "redrive", "replay.1.plan"])
def test_an_id_names_one_group_and_one_producer(group: str, producer: str) -> None:
    assert split(join(group, producer)) == (group, producer)


@pytest.mark.parametrize("name", ["colour-worker-enricher-1", "8f2c", ""])
def test_a_strangers_id_names_no_group_of_workers(name: str) -> None:
    assert split(name) == ("", name)


def test_an_instance_that_could_pass_for_a_part_of_the_group_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"'b:pod-0' has a colon.*leave it out"):
        StreamSettings(instance="b:pod-0")
