"""The model repository that training writes, asked through the real Triton by the worker's own client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from deploy.local.triton import TritonServer
from tests.conftest import require
from tests.training.graphs import LENGTH, SIDE, WIDTH, build
from training.evaluation import throughput
from training.serving.repository import HEAD, IMAGE, RELEASE, TEXT, activate, add_version, fingerprint, read_config
from worker.errors import Unavailable
from worker.models.client import Triton
from worker.models.following import Releases
from worker.settings import TritonSettings


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    folder = tmp_path_factory.mktemp("serving")
    build(folder / "models", folder / "work")
    server = TritonServer(folder / "triton", repository=folder / "models", models=[IMAGE, TEXT, HEAD, RELEASE])
    require(server)
    server.start()
    yield server
    server.stop()


async def test_the_worker_reads_the_release(served: TritonServer) -> None:
    async with Triton(TritonSettings(url=served.grpc)) as triton:
        release = await Releases(triton, 1).current()
    assert (release.image.side, release.image.width, release.text.width) == (SIDE, WIDTH, WIDTH)
    assert release.image.fingerprint == fingerprint(served.repository / IMAGE / "1")
    assert len(release.head.labels) == 18
    assert release.head.threshold == 0.5


async def test_pictures_texts_and_heads_are_answered_row_by_row(served: TritonServer) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    async with Triton(TritonSettings(url=served.grpc)) as triton:
        images = await triton.embed_images("1", pixels)
        texts = await triton.embed_texts("1", ["red dress", "dress red", "red", "", "red dress"])
        answers = await triton.probabilities("1", images, texts)
    expected = np.tile(pixels.reshape(5, -1, 3).mean(1) + 1, 6)
    np.testing.assert_allclose(images, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(texts[0], texts[4])
    assert not np.allclose(texts[0], texts[1])
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "text",
    ["", "\0", "\0red", "🧥" * 300, "red " * 25_000, "д" * 100_000, "\u202e\ufeff\uffff", "a\u0301" * 5000],
    ids=["empty", "nul", "nul-first", "emoji", "100-kB", "200-kB-one-word", "controls", "combining"],
)
async def test_any_text_is_answered(served: TritonServer, text: str) -> None:
    async with Triton(TritonSettings(url=served.grpc)) as triton:
        embedding = await triton.embed_texts("1", [text])
    assert np.isfinite(embedding).all()


async def test_a_wrong_picture_is_refused_with_a_sentence_and_the_next_is_answered(served: TritonServer) -> None:
    async with Triton(TritonSettings(url=served.grpc)) as triton:
        with pytest.raises(Unavailable, match=r"pixels has the shape \[7, 7, 3\], this version takes \[4, 4, 3\]"):
            await triton.embed_images("1", np.zeros((1, 7, 7, 3), np.uint8))
        assert (await triton.embed_images("1", np.zeros((1, SIDE, SIDE, 3), np.uint8))).shape == (1, WIDTH)


async def test_embeddings_that_are_not_finite_are_refused(served: TritonServer) -> None:
    async with Triton(TritonSettings(url=served.grpc)) as triton:
        with pytest.raises(Unavailable, match="image_embedding holds numbers that are not finite"):
            await triton.probabilities("1", np.full((1, WIDTH), np.nan, np.float32), np.zeros((1, WIDTH), np.float32))


def test_images_a_second_are_those_that_triton_answered(tmp_path: Path) -> None:
    build(tmp_path / "models", tmp_path / "work")
    require(TritonServer(tmp_path / "triton", repository=tmp_path / "models"))
    found = throughput.measure(tmp_path / "models", seconds=0.5)
    assert found.images > 0
    assert found.seconds >= 0.5


def test_a_second_version_stands_beside_the_first(tmp_path: Path) -> None:
    build(tmp_path / "models", tmp_path / "work")
    head = read_config(tmp_path / "models", HEAD)
    values = {
        name.split("/", 1)[1]: value.string_value
        for name, value in head.parameters.items()
        if name.startswith("1/") and not name.endswith("/fingerprint")
    }
    files = {name: tmp_path / "models" / HEAD / "1" / name for name in ("model.onnx", "golden.npz")}
    add_version(tmp_path / "models", HEAD, 2, files, values | {"threshold": "0.7"})
    activate(tmp_path / "models", image=1, text=1, head=2)
    after = read_config(tmp_path / "models", HEAD)
    assert list(after.version_policy.specific.versions) == [1, 2]
    assert after.parameters["1/threshold"].string_value == "0.5"
    live = read_config(tmp_path / "models", RELEASE)
    assert live.parameters["release/active"].string_value == "image=1 text=1 head=2"
    assert not [name for name in after.parameters if name.startswith("release/")]


def test_a_head_made_for_other_encoders_is_not_activated(tmp_path: Path) -> None:
    build(tmp_path / "models", tmp_path / "work")
    graph = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> text (int64[n,{LENGTH}] ids) => (float[n,{WIDTH}] embedding) {{'
        "numbers = Cast<to = 1>(ids) embedding = Concat<axis = 1>(numbers, numbers, numbers) }"
    )
    onnx.save(graph, str(tmp_path / "other.onnx"))
    work = tmp_path / "work"
    files = {"model.onnx": tmp_path / "other.onnx", "golden.npz": work / "golden.npz"}
    add_version(
        tmp_path / "models", TEXT, 2, files | {"tokenizer.json": work / "tokenizer.json"}, {"width": str(WIDTH)}
    )
    with pytest.raises(ValueError, match="head 1 was made for text encoder"):
        activate(tmp_path / "models", image=1, text=2, head=1)


def test_a_graph_of_other_names_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "models", tmp_path / "work")
    with pytest.raises(ValueError, match="must give"):
        add_version(tmp_path / "models", HEAD, 2, {"model.onnx": tmp_path / "work" / f"{IMAGE}.onnx"}, {})
