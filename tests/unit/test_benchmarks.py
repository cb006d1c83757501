"""The arithmetic behind the benchmarks' figures, and the runner around it. Nothing here measures anything."""

from __future__ import annotations

import http.client
import importlib
import inspect
import io
import json
import platform
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import document, machine, models, photo_host, photos, report
from tests.benchmarks.arithmetic import at_least, at_most, percentile, steady_rate
from tests.benchmarks.report import Failure, Row
from worker.images import decode
from worker.models.client import HEAD_MODEL, IMAGE_MODEL


def test_percentiles_lie_between_their_neighbours() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.9, 1.0)] == [1.0, 3.0, 4.6, 5.0]


def test_of_no_values_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 0.5)


def test_the_rate_leaves_out_start_and_end() -> None:
    """Ten a second, after five seconds of nothing and before five of a queue that runs dry."""
    samples = [(0.0, 0), (5.0, 0), *((5 + second / 10, second) for second in range(1, 100)), (20.0, 100)]
    assert steady_rate(samples) == pytest.approx(10)


def test_what_is_over_between_two_looks_has_no_rate() -> None:
    with pytest.raises(ValueError, match="measure more"):
        steady_rate([(0.0, 0), (0.1, 500)])


def test_targets_include_their_bound() -> None:
    assert [at_least(2).met(value) for value in (1.9, 2.0)] == [False, True]
    assert [at_most(2).met(value) for value in (2.0, 2.1)] == [True, False]
    assert f"{at_least(3000)} {at_most(25)}" == ">= 3,000 <= 25"


def test_every_figure_has_a_module_that_measures() -> None:
    for module in benchmarks.FIGURES.values():
        assert list(inspect.signature(importlib.import_module(module).measure).parameters) == ["field"]


def test_an_unknown_figure_is_refused_before_a_server_starts() -> None:
    app = typer.Typer()
    app.command()(benchmarks.main)
    result = CliRunner().invoke(app, ["nonsense"])
    assert (result.exit_code, "no figure nonsense" in result.output) == (2, True)


def test_results_of_a_day_add_up_and_newer_ones_replace_older(tmp_path: Path) -> None:
    first = Row("start", 2.5, at_most(3), "s", {"slowest, s": 2.75})
    again = Row("start", 3.5, at_most(3), "s")
    other = Row("memory", 150.0, at_most(400), "MB")
    report.write([first, other], {"cores": 2}, 60.4, tmp_path)
    path = report.write([again, Failure("peers", "RuntimeError: no")], {"cores": 2}, 9.6, tmp_path)
    runs = json.loads(path.read_text())["runs"]
    assert [[entry["figure"] for entry in run["figures"]] for run in runs] == [["memory"], ["start", "peers"]]
    assert [entry.get("met") for run in runs for entry in run["figures"]] == [True, False, None]


def test_the_table_shows_failures_beside_figures() -> None:
    console = Console(width=160, file=io.StringIO())
    with console.capture() as captured:
        console.print(report.table([Row("start", 2.5, at_most(3), "s"), Failure("peers", "RuntimeError: no")]))
    text = captured.get()
    assert all(word in text for word in ("2.5 s", "<= 3", "failed", "RuntimeError: no"))


def test_the_machine_is_described_without_its_name() -> None:
    described = machine.describe()
    assert {"processor", "cores", "memory_gib", "python", "libraries", "commit"} <= described.keys()
    assert platform.node() not in json.dumps(described).split('"')


def test_photos_are_as_large_as_they_say() -> None:
    data = photos.photo(3)
    assert abs(len(data) - 100_000) <= 10_000
    assert decode(data, 64).shape == (64, 64, 3)


def test_the_stand_in_is_as_wide_as_a_clip_and_says_what_it_waits(tmp_path: Path) -> None:
    folder = models.standin(tmp_path / "standin", waits={"colour_image": 40, "colour_text": 1, "colour_head": 2})
    assert models.release(folder).image.width == models.WIDTH
    assert (models.waits(folder)[IMAGE_MODEL], models.waits(folder)[HEAD_MODEL]) == (40, 2)


def test_the_new_head_is_a_release_of_its_own(tmp_path: Path) -> None:
    folder = models.with_new_head(tmp_path / "models")
    assert models.release(folder).head.version == "1"
    assert (folder / HEAD_MODEL / "2" / "model.py").is_file()


def test_the_photo_host_answers_one_request_after_the_other_over_one_connection(tmp_path: Path) -> None:
    photo = b"\xff\xd8" + bytes(300_000)
    (tmp_path / "a.jpg").write_bytes(photo)
    with photo_host.serving(tmp_path) as address:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
        found = []
        for method, path in (("GET", "/a.jpg?listing=1"), ("GET", "/b.jpg"), ("POST", "/a.jpg"), ("GET", "/a.jpg")):
            connection.request(method, path)
            response = connection.getresponse()
            found.append((response.status, response.read() == photo))
        connection.close()
    assert found == [(200, True), (404, False), (405, False), (200, True)]


def test_the_page_takes_the_newest_results_and_keeps_its_words(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results -->\nout of date\n<!-- /results -->\nafter\n", encoding="utf-8")
    document.main(page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- results -->\nEach figure as ")
    assert text.endswith(".\n<!-- /results -->\nafter\n")
    assert "\n- start: " in text  # what is said of a figure
    assert "out of date" not in text
    page.write_text("no place", encoding="utf-8")
    with pytest.raises(typer.BadParameter):
        document.main(page)


def test_a_figure_is_from_the_run_that_measured_it_last() -> None:
    runs = [
        {"measured_at": moment, "figures": [{"figure": name, "value": value} for name, value in figures.items()]}
        for moment, figures in (("1", {"start": 3, "cold": 1}), ("2", {"warm": 5, "start": 2}), ("3", {"cold": 4}))
    ]
    found = document.newest(runs)
    assert [(name, figure["value"], run["measured_at"]) for name, (figure, run) in found.items()] == [
        ("start", 2, "2"),
        ("cold", 4, "3"),
        ("warm", 5, "2"),
    ]
