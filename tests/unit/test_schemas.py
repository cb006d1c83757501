"""The contracts with other teams do not change by accident."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from worker import schemas

FROZEN = Path(__file__).parent / "frozen"
"""The schemas as other teams were given them. A file here changes only together with a new version of the event."""


@pytest.mark.parametrize("name", schemas.documents())
def test_committed_documents_are_those_of_the_code(name: str) -> None:
    committed = (schemas.FOLDER / name).read_text(encoding="utf-8")
    assert committed == schemas.render(schemas.documents()[name]), "run: colour-worker schemas"


@pytest.mark.parametrize(
    ("name", "written_by_us"), [("listing.created.v1.json", False), ("listing.coloured.v1.json", True)]
)
def test_today_breaks_nobody_who_relies_on_the_first_version(name: str, *, written_by_us: bool) -> None:
    frozen = json.loads((FROZEN / name).read_text(encoding="utf-8"))
    assert schemas.breaks(frozen, schemas.documents()[name], written_by_us=written_by_us) == []


def changed(name: str, change: str) -> tuple[dict[str, Any], dict[str, Any]]:
    before = schemas.documents()[name]
    after = copy.deepcopy(before)
    if change == "remove":
        del after["properties"]["confidence"]
    elif change == "retype":
        after["properties"]["confidence"]["type"] = "string"
    elif change == "demand":
        after["required"].append("price")
    elif change == "lose":
        after["$defs"]["Colour"]["enum"].remove("burgundy")
    elif change == "add":
        after["properties"]["new"] = {"type": "string"}
    return before, after


@pytest.mark.parametrize("change", ["remove", "retype", "lose"])
def test_a_change_that_breaks_readers_is_found(change: str) -> None:
    assert schemas.breaks(*changed("listing.coloured.v1.json", change), written_by_us=True)


def test_a_new_demand_on_publishers_is_found() -> None:
    assert schemas.breaks(*changed("listing.created.v1.json", "demand"), written_by_us=False) == [
        "price is demanded now"
    ]


@pytest.mark.parametrize(
    ("name", "written_by_us"), [("listing.created.v1.json", False), ("listing.coloured.v1.json", True)]
)
def test_a_new_optional_field_is_safe(name: str, *, written_by_us: bool) -> None:
    assert schemas.breaks(*changed(name, "add"), written_by_us=written_by_us) == []
