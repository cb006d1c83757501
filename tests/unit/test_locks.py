"""The locked versions under ``requirements/`` fit ``pyproject.toml`` and one another."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = {"worker": [], **PROJECT["optional-dependencies"]}


def locked(name: str) -> dict[str, str]:
    """Package -> version, as one list pins them."""
    lines = (REPOSITORY / "requirements" / f"{name}.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(package): version for package, version in pins}


@pytest.mark.parametrize("name", EXTRAS)
def test_every_direct_dependency_is_locked(name: str) -> None:
    """Each list pins all that the project asks for, in a version that it accepts; if not, run ``make lock``."""
    pins = locked(name)
    wanted = [Requirement(line) for line in (*PROJECT["dependencies"], *EXTRAS[name])]
    missing = [
        str(requirement)
        for requirement in wanted
        if not requirement.specifier.contains(pins.get(canonicalize_name(requirement.name), "0"))
        or canonicalize_name(requirement.name) not in pins
    ]
    assert missing == []


def test_lists_agree_where_they_meet() -> None:
    """The lists are installed into one environment: no package has two versions among them."""
    versions: dict[str, set[str]] = {}
    for name in EXTRAS:
        for package, version in locked(name).items():
            versions.setdefault(package, set()).add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


def test_worker_and_demo_need_no_torch() -> None:
    """What only training needs stays out of the worker's environment."""
    only_training = {"torch", "torchvision", "onnxruntime"}
    assert not only_training & {*locked("worker"), *locked("demo")}
    assert only_training <= set(locked("training"))
