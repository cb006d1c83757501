"""The model repository in the tree: what the real Triton answers is what the golden files promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from deploy.local.triton import TritonServer
from training.serving.repository import HEAD, IMAGE, TEXT, fingerprint, read_config
from worker.models.client import Triton
from worker.models.following import Releases
from worker.settings import TritonSettings

REPOSITORY = Path(__file__).parents[2] / "triton_models"
_MEGABYTES = 40


async def test_triton_answers_as_the_golden_files_promise(triton: TritonServer) -> None:
    async with Triton(TritonSettings(url=triton.grpc)) as client:
        release = await Releases(client, 1).current()
        golden = {
            model: np.load(REPOSITORY / model / version / "golden.npz")
            for model, version in (
                (IMAGE, release.image.version),
                (TEXT, release.text.version),
                (HEAD, release.head.version),
            )
        }
        images = await client.embed_images(release.image.version, golden[IMAGE]["pixels"])
        np.testing.assert_allclose(images, golden[IMAGE]["embedding"], atol=1e-4)
        titles = [title.decode() for title in golden[TEXT]["text"][:, 0]]
        texts = await client.embed_texts(release.text.version, titles)
        np.testing.assert_allclose(texts, golden[TEXT]["embedding"], atol=1e-4)
        answers = await client.probabilities(
            release.head.version, golden[HEAD]["image_embedding"], golden[HEAD]["text_embedding"]
        )
        np.testing.assert_allclose(answers, golden[HEAD]["probabilities"], atol=1e-4)


def test_fingerprints_are_those_of_the_files() -> None:
    for model in (IMAGE, TEXT, HEAD):
        config = read_config(REPOSITORY, model)
        for version in config.version_policy.specific.versions:
            promised = config.parameters[f"{version}/fingerprint"].string_value
            assert fingerprint(REPOSITORY / model / str(version)) == promised


def test_the_repository_is_small_enough_to_be_cloned() -> None:
    assert sum(path.stat().st_size for path in REPOSITORY.rglob("*") if path.is_file()) < _MEGABYTES * 1e6


def test_graphs_name_nothing_of_the_machine_that_made_them() -> None:
    """Weights are left out: three bytes of them spell ``.py`` once in five graphs."""
    graphs = {path: onnx.load(path) for path in REPOSITORY.rglob("*.onnx")}
    assert graphs
    for path, graph in graphs.items():
        for weights in graph.graph.initializer:
            weights.ClearField("raw_data")
        said = graph.SerializeToString()
        assert b"stack_trace" not in said, path
        assert b".py" not in said, path
