"""Releases on the real Triton: what is refused, and that the old release goes on answering."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from deploy.local.triton import TritonServer
from tests.support import release_copies as copies
from tests.support.release_copies import FIRST, SECOND, THIRD
from worker.errors import ConfigurationError, ReleaseGone, Unavailable
from worker.models.activation import Operator
from worker.models.control import Control
from worker.models.following import Releases
from worker.models.repository import Repository
from worker.models.shadowing import Shadowing
from worker.settings import TritonSettings

COMMITTED = Path(__file__).parents[2] / "triton_models"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, triton_installed: None) -> Iterator[TritonServer]:
    """A Triton that serves all three releases of its own copy; release 1 is active."""
    folder = tmp_path_factory.mktemp("shared")
    server = TritonServer(folder / "triton", repository=copies.copy(folder / "models", served=True).folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def repository(shared: TritonServer, tmp_path: Path) -> AsyncIterator[Repository]:
    """The shared server's; after the test it is as it was before."""
    shutil.copytree(shared.repository, tmp_path / "before")
    yield Repository(shared.repository)
    shutil.rmtree(shared.repository)
    shutil.copytree(tmp_path / "before", shared.repository)
    async with Control(TritonSettings(url=shared.grpc)) as control:
        if await control.active() != FIRST:
            await control.load("colour_release")


@pytest.fixture
async def control(shared: TritonServer) -> AsyncIterator[Control]:
    async with Control(TritonSettings(url=shared.grpc)) as connection:
        yield connection


@pytest.fixture
def operator(repository: Repository, control: Control) -> Operator:
    return Operator(repository, [control], tolerance=0.005)


async def answers_under(control: Control, versions: dict[str, str]) -> None:
    """The release that workers would read is this one, and answers rightly."""
    release = await Releases(control, 1).refresh()
    assert {"image": release.image.version, "text": release.text.version, "head": release.head.version} == versions
    colour, rgb = "orange", copies.PALETTE["orange"]
    picture = np.full((1, release.image.side, release.image.side, 3), rgb, np.uint8)
    embedding = await control.embed_images(release.image.version, picture)
    answer = await control.probabilities(release.head.version, embedding, np.zeros_like(embedding))
    assert release.head.labels[int(answer[0].argmax())] == colour


def misname_red_and_blue(repository: Repository, head: str) -> None:
    """Exchange two labels of a head, as an export that got them wrong would have: in its golden file too."""
    labels = repository.config("colour_head").parameters[f"{head}/labels"].string_value.split(",")
    red, blue = labels.index("red"), labels.index("blue")
    labels[red], labels[blue] = labels[blue], labels[red]
    copies.parameters(repository, "head", {f"{head}/labels": ",".join(labels)})
    path = repository.version("colour_head", head) / "golden.npz"
    with np.load(path) as arrays:
        golden = {name: arrays[name] for name in arrays}
    np.savez_compressed(path, **{**golden, "labels": np.array(labels)})


async def shadowing_now(control: Control) -> Shadowing | None:
    """What a worker would shadow."""
    releases = Releases(control, 1)
    await releases.refresh()
    return releases.shadowing


@pytest.fixture
async def fresh(tmp_path: Path, triton_installed: None) -> AsyncIterator[tuple[Repository, Control]]:
    """A Triton of this test's own, that serves release 1 only."""
    repository = copies.copy(tmp_path / "models")
    server = TritonServer(tmp_path / "triton", repository=repository.folder)
    await asyncio.to_thread(server.start)
    async with Control(TritonSettings(url=server.grpc)) as control:
        yield repository, control
    await asyncio.to_thread(server.stop)


async def test_a_release_is_loaded_activated_rolled_back_and_retired(fresh: tuple[Repository, Control]) -> None:
    repository, control = fresh
    operator = Operator(repository, [control], tolerance=0.005)
    with pytest.raises(ConfigurationError, match="run models load first"):
        await operator.activate(SECOND)
    assert await operator.load(SECOND) == ["colour_image 2", "colour_head 2"]
    assert await operator.load(SECOND) == []
    assert datetime.now(UTC) - datetime.fromisoformat(repository.loaded_at("colour_head", "2")) < timedelta(minutes=5)
    assert repository.loaded_at("colour_head", "1") == repository.activated_at() == ""
    await answers_under(control, FIRST)
    (seen,) = await operator.activate(SECOND)
    assert seen.misnamed == seen.misnamed_by_active
    await answers_under(control, SECOND)
    versions, (seen,) = await operator.rollback()
    assert (versions, [one.rows for one in seen.differences]) == (FIRST, [6, 6, 6])
    await answers_under(control, FIRST)
    with pytest.raises(ConfigurationError, match=r"previous release .* uses head 2"):
        await operator.retire("head", "2")
    with pytest.raises(ConfigurationError, match="active release"):
        await operator.retire("head", "1")

    await operator.load(THIRD)
    await operator.activate(SECOND)
    await operator.activate(THIRD)
    await operator.retire("head", "1")
    await operator.retire("image", "1")
    assert repository.served("colour_head") == {"2", "3"}
    with pytest.raises(ConfigurationError, match="not served"):
        await operator.retire("head", "1")
    await answers_under(control, THIRD)


async def test_a_rollback_needs_nothing_of_the_release_that_it_leaves(fresh: tuple[Repository, Control]) -> None:
    repository, control = fresh
    operator = Operator(repository, [control], tolerance=0.005)
    await operator.load(SECOND)
    await operator.activate(SECOND)
    config = repository.config("colour_head")
    config.version_policy.specific.versions[:] = [1]
    for name in [name for name in config.parameters if name.startswith("2/")]:
        del config.parameters[name]
    repository.write("colour_head", config)
    shutil.rmtree(repository.version("colour_head", "2"))
    await control.load("colour_head")
    with pytest.raises(Unavailable):
        await Releases(control, 1).refresh()
    await operator.rollback()
    await answers_under(control, FIRST)
    with pytest.raises(ConfigurationError, match="2/image_fingerprint"):
        await operator.rollback()
    await answers_under(control, FIRST)


async def test_a_rollback_does_not_judge_the_release_before_by_the_active_one(
    repository: Repository, control: Control, operator: Operator
) -> None:
    await operator.activate(SECOND)
    misname_red_and_blue(repository, "1")
    with pytest.raises(ConfigurationError, match="red as blue, blue as red"):
        await operator.activate(FIRST)
    versions, (seen,) = await operator.rollback()
    assert (versions, seen.misnamed, seen.misnamed_by_active) == (FIRST, None, None)
    await answers_under(control, FIRST)


async def test_a_rollback_to_changed_files_or_to_other_answers_is_refused(
    repository: Repository, control: Control, operator: Operator
) -> None:
    await operator.activate(SECOND)
    copies.write_golden(repository, "image", "1", encoder="2")
    with pytest.raises(ConfigurationError, match="away from the exported answers"):
        await operator.rollback()
    path = repository.version("colour_head", "1") / "model.py"
    path.write_text(path.read_text()[:20])
    with pytest.raises(ConfigurationError, match="half-copied"):
        await operator.rollback()
    await answers_under(control, SECOND)


async def test_a_change_of_the_active_release_starts_no_model_anew(control: Control, operator: Operator) -> None:
    await operator.activate(SECOND)
    before = {model: await control.traffic(model) for model in ("colour_image", "colour_head")}
    await operator.rollback()
    await operator.shadow(SECOND, 0.5)
    await operator.end_shadow()
    for model, versions in before.items():
        after = await control.traffic(model)
        for version in ("1", "2"):
            # A version that was loaded again would begin to count at zero.
            assert after[version].rows > versions[version].rows > 0, (model, version)


async def test_a_corrupt_model_is_refused_and_leaves_everything_as_it_was(
    repository: Repository, control: Control, operator: Operator
) -> None:
    candidate = {**SECOND, "image": "4"}
    folder = copies.add(repository, "image", "4", "", {"side": "128", "width": "4"})
    (folder / "model.py").write_text("this is no model\n")
    copies.stamp(repository, "image", "4")
    copies.write_golden(repository, "image", "4", encoder="2")
    copies.pair(repository, "2", candidate)
    with pytest.raises(ConfigurationError, match="does not load colour_image"):
        await operator.load(candidate)
    assert repository.served("colour_image") == {"1", "2"}
    await answers_under(control, FIRST)


async def test_a_changed_or_half_copied_version_is_refused_before_triton_sees_it(
    repository: Repository, control: Control, operator: Operator
) -> None:
    path = repository.version("colour_head", "2") / "model.py"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(ConfigurationError, match="half-copied"):
        await operator.load(SECOND)
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"neither model\.py nor model\.onnx"):
        await operator.load(SECOND)
    path.write_text(whole)
    (path.parent / "golden.npz").unlink()
    with pytest.raises(ConfigurationError, match="cannot be verified"):
        await operator.load(SECOND)
    await operator.verify(FIRST)
    shutil.rmtree(path.parent)
    for act in (operator.load, operator.verify, operator.activate):
        with pytest.raises(ConfigurationError, match="neither"):
            await act(SECOND)
    await answers_under(control, FIRST)


async def test_a_head_never_runs_on_an_encoder_that_it_was_not_made_for(control: Control, operator: Operator) -> None:
    for act in (operator.load, operator.verify, operator.activate):
        with pytest.raises(ConfigurationError, match="was made for the image encoder"):
            await act({"image": "1", "text": "1", "head": "2"})
    await answers_under(control, FIRST)


async def test_a_wrong_label_order_is_refused(repository: Repository, control: Control, operator: Operator) -> None:
    labels = repository.config("colour_head").parameters["1/labels"].string_value.split(",")
    red, blue = labels.index("red"), labels.index("blue")
    labels[red], labels[blue] = labels[blue], labels[red]
    copies.parameters(repository, "head", {"2/labels": ",".join(labels)})
    for act in (operator.verify, operator.activate):
        with pytest.raises(ConfigurationError, match="labels are not in the order that was exported"):
            await act(SECOND)
    await answers_under(control, FIRST)


async def test_labels_that_were_exported_in_a_wrong_order_are_found_by_plain_colours(
    repository: Repository, control: Control, operator: Operator
) -> None:
    misname_red_and_blue(repository, "2")
    path = repository.version("colour_head", "2") / "golden.npz"
    with np.load(path) as arrays:
        golden = {name: arrays[name] for name in arrays}
    with pytest.raises(ConfigurationError, match="red as blue, blue as red"):
        await operator.activate(SECOND)
    np.savez_compressed(path, **{name: golden[name] for name in golden if name != "labels"})
    with pytest.raises(ConfigurationError, match=r"cannot be used: .*labels"):
        await operator.verify(SECOND)
    await answers_under(control, FIRST)


async def test_answers_other_than_the_exported_ones_are_refused(
    repository: Repository, control: Control, operator: Operator
) -> None:
    copies.write_golden(repository, "image", "2", encoder="1")
    with pytest.raises(ConfigurationError, match="away from the exported answers"):
        await operator.activate(SECOND)
    (repository.version("colour_image", "2") / "golden.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await operator.activate(SECOND)
    await answers_under(control, FIRST)


async def test_a_candidate_is_shadowed_until_it_is_switched_off_or_activated(
    repository: Repository, control: Control, operator: Operator
) -> None:
    with pytest.raises(ConfigurationError, match="is the active release"):
        await operator.shadow(FIRST, 0.1)
    await operator.shadow(SECOND, 0.25)
    await answers_under(control, FIRST)
    assert await shadowing_now(control) == Shadowing(repository.release(SECOND), 0.25)
    with pytest.raises(ConfigurationError, match=r"shadow release .* uses head 2"):
        await operator.retire("head", "2")
    assert await operator.end_shadow()
    assert not await operator.end_shadow()
    assert await shadowing_now(control) is None

    await operator.shadow(SECOND, 1)
    await operator.activate(THIRD)
    assert repository.shadow() == (SECOND, 1)
    await operator.activate(SECOND)
    assert repository.shadow() is None


async def test_a_candidate_that_answers_wrongly_is_not_shadowed(
    repository: Repository, control: Control, operator: Operator
) -> None:
    copies.write_golden(repository, "image", "2", encoder="1")
    with pytest.raises(ConfigurationError, match="away from the exported answers"):
        await operator.shadow(SECOND, 0.1)
    assert repository.shadow() is None
    await answers_under(control, FIRST)


async def test_a_shadow_that_names_nonsense_does_not_touch_the_active_release(
    repository: Repository, control: Control
) -> None:
    for value in ("image=1 text=1 head=2 share=0.5", "image=1 text=1 head=1 share=2", "tomorrow"):
        copies.parameters(repository, "release", {"release/shadow": value})
        await control.load("colour_release")
        assert await shadowing_now(control) is None
        await answers_under(control, FIRST)
    config = repository.config("colour_release")
    del config.parameters["release/shadow"]
    repository.write("colour_release", config)
    await control.load("colour_release")


async def test_a_second_operator_has_to_wait(repository: Repository, operator: Operator) -> None:
    with repository.locked(), pytest.raises(ConfigurationError, match="another command"):
        await operator.load(SECOND)


async def test_an_activation_that_was_cut_off_is_finished_by_the_next(
    repository: Repository, control: Control, operator: Operator
) -> None:
    copies.parameters(repository, "release", {"release/active": "image=2 text=1 head=2"})
    await answers_under(control, FIRST)
    await operator.activate(SECOND)
    await answers_under(control, SECOND)


async def test_where_one_of_two_replicas_fails_both_keep_the_old_release(
    repository: Repository, control: Control, shared: TritonServer, tmp_path: Path
) -> None:
    other = TritonServer(tmp_path / "other", repository=repository.folder)
    other.start()
    try:
        async with Control(TritonSettings(url=other.grpc, request_timeout=2)) as second:
            both = Operator(repository, [control, second], tolerance=0.005)
            assert [one.address for one in await both.activate(SECOND)] == [shared.grpc, other.grpc]
            await both.rollback()
            await asyncio.to_thread(other.kill)
            with pytest.raises(Exception, match=r"not loaded at|does not answer|triton"):
                await both.activate(SECOND)
            await answers_under(control, FIRST)
            assert repository.active() == FIRST
    finally:
        other.stop()


def test_the_commands_do_it_from_a_shell(repository: Repository, shared: TritonServer) -> None:
    def models(*arguments: str, code: int = 0) -> str:
        command = [str(Path(sys.executable).with_name("colour-worker")), "models", *arguments]
        done = subprocess.run(
            [*command, "--repository", str(repository.folder), "--triton", shared.grpc],
            capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "was made for the image encoder" in models("verify", "--head", "2", code=2)
    assert "active: image=2 text=1 head=2" in models("activate", "--image", "2", "--head", "2")
    assert "image=2 text=1 head=3, on 5.00% of the listings" in models("shadow", "--head", "3", "--share", "0.05")
    shown = models("status")
    assert "shadow\timage=2 text=1 head=3 share=0.05" in shown
    assert "previous\timage=1 text=1 head=1" in shown
    rows = {tuple(row[:2]): row for row in (line.split("\t") for line in shown.splitlines()) if len(row) == 12}
    assert rows["colour_head", "2"][3:5] == ["active", "READY"]
    assert rows["colour_head", "3"][3:6] == ["shadow", "READY", "with Triton"]
    assert int(rows["colour_image", "2"][6]) > 0
    assert "nothing is shadowed any more" in models("shadow", "--off")
    assert "nothing was shadowed" in models("shadow", "--off")
    assert "active: image=1 text=1 head=1" in models("rollback")


async def test_a_version_that_one_replica_lacks_is_answered_by_another(shared: TritonServer, tmp_path: Path) -> None:
    behind = TritonServer(tmp_path / "behind", repository=copies.copy(tmp_path / "models").folder)
    await asyncio.to_thread(behind.start)
    try:
        # One name with two addresses, as a headless service has; gRPC asks them in turn.
        async with Control(TritonSettings(url=f"ipv4:{shared.grpc},{behind.grpc}")) as both:
            embedding = copies.embeddings("2", np.array([copies.PALETTE["red"]]))
            for _ in range(30):
                answer = await both.probabilities("2", embedding, np.zeros_like(embedding))
                np.testing.assert_allclose(answer, copies.probabilities("2", embedding, "2"), atol=1e-4)
        async with Control(TritonSettings(url=shared.grpc)) as ahead, Control(TritonSettings(url=behind.grpc)) as late:
            # Both were asked, and the late one could not answer.
            assert (await ahead.traffic("colour_head"))["2"].rows >= 30
            with pytest.raises(ReleaseGone):
                await late.probabilities("2", embedding, np.zeros_like(embedding))
    finally:
        await asyncio.to_thread(behind.stop)


async def test_a_corrupt_graph_beside_the_committed_models_is_refused(tmp_path: Path, triton_installed: None) -> None:
    shutil.copytree(COMMITTED, tmp_path / "models")
    repository = Repository(tmp_path / "models")
    active = repository.active()
    folder = repository.version("colour_head", "900")
    shutil.copytree(repository.version("colour_head", active["head"]), folder)
    graph = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(graph[: len(graph) // 2])
    old = repository.config("colour_head").parameters
    names = ("image_fingerprint", "text_fingerprint", "labels", "threshold")
    copies.parameters(
        repository, "head", {f"900/{name}": old[f"{active['head']}/{name}"].string_value for name in names}
    )
    copies.stamp(repository, "head", "900")
    server = TritonServer(tmp_path / "triton", repository=repository.folder)
    await asyncio.to_thread(server.start)
    try:
        async with Control(TritonSettings(url=server.grpc)) as control:
            operator = Operator(repository, [control], tolerance=0.005)
            with pytest.raises(ConfigurationError, match="does not load colour_head"):
                await operator.load({**active, "head": "900"})
            (seen,) = await operator.verify(active)
            assert seen.misnamed == seen.misnamed_by_active
            assert repository.active() == active
    finally:
        await asyncio.to_thread(server.stop)
