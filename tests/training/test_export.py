"""Both wrappings of one release as Triton would parse them, and int8 that pays or is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from google.protobuf import text_format  # type: ignore[import-untyped]
from onnx import parser
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from tests.training.graphs import SIDE, WIDTH, build
from training.serving.repository import ENGINES, HEAD, IMAGE, RELEASE, TEXT, WHEEL, Wrapping, add_version, fingerprint
from training.stages.export import ParityError, to_onnx
from training.stages.quantise import quantise
from worker.models.releases import Release

_IMAGE = f"""<ir_version: 8, opset_import: ["" : 17]>
image (uint8[n,{SIDE},{SIDE},3] pixels) => (float[n,18] embedding)
<float[18,3] weight, int64[2] axes = {{1, 2}}, float[1] scale = {{0.003921}}> {{
    floats = Cast<to = 1>(pixels)
    scaled = Mul(floats, scale)
    mean = ReduceMean<axes = [1, 2], keepdims = 0>(scaled)
    embedding = Gemm<transB = 1>(mean, weight)
}}"""
_HEAD = """<ir_version: 8, opset_import: ["" : 17]>
head (float[n,18] image_embedding, float[n,18] text_embedding) => (float[n,18] probabilities) {
    both = Add(image_embedding, text_embedding)
    probabilities = Softmax<axis = 1>(both)
}"""


def parsed(repository: Path, model: str) -> ModelConfig:
    return text_format.Parse((repository / model / "config.pbtxt").read_text(), ModelConfig())


class TwoFaced(torch.nn.Module):
    """Answers otherwise once it is exported."""

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers if torch.compiler.is_exporting() else numbers + 0.001


def test_a_graph_that_answers_otherwise_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match=r"differs from PyTorch by 1\.0"):
        to_onnx(TwoFaced(), {"numbers": torch.zeros(3, 4)}, "same", tmp_path / "model.onnx")
    assert to_onnx(torch.nn.Identity(), {"numbers": torch.zeros(3, 4)}, "same", tmp_path / "model.onnx") == 0


def test_the_container_runs_the_same_release_by_its_onnxruntime_backend(tmp_path: Path) -> None:
    build(tmp_path / "wheel", tmp_path / "work")
    build(tmp_path / "container", tmp_path / "work", wrapping=Wrapping("container"))
    configs = {model: parsed(tmp_path / "container", model) for model in (IMAGE, TEXT, HEAD)}
    assert {model: config.backend for model, config in configs.items()} == {
        IMAGE: "onnxruntime", TEXT: "python", HEAD: "onnxruntime",
    }  # fmt: skip
    assert list(configs[IMAGE].input[0].dims) == [SIDE, SIDE, 3]
    assert list(configs[IMAGE].output[0].dims) == [WIDTH]
    assert [list(put.dims) for put in configs[HEAD].input] == [[WIDTH], [WIDTH]]
    assert list(configs[HEAD].output[0].dims) == [18]
    assert configs[IMAGE].default_model_filename == "model.onnx"
    for model in (IMAGE, TEXT, HEAD):
        marks = {fingerprint(tmp_path / flavour / model / "1") for flavour in ("wheel", "container")}
        assert len(marks) == 1
    both = [
        Release.from_configs(*(parsed(tmp_path / flavour, model) for model in (IMAGE, TEXT, HEAD, RELEASE)))
        for flavour in ("wheel", "container")
    ]
    assert both[0] == both[1]


def test_tensorrt_is_for_the_image_encoder_on_gpus(tmp_path: Path) -> None:
    build(tmp_path / "models", tmp_path / "work", wrapping=Wrapping("container", tensorrt=True))
    image, head = parsed(tmp_path / "models", IMAGE), parsed(tmp_path / "models", HEAD)
    (accelerator,) = image.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    assert dict(accelerator.parameters) == {
        "precision_mode": "FP16", "trt_engine_cache_enable": "1", "trt_engine_cache_path": ENGINES,
    }  # fmt: skip
    assert image.instance_group[0].kind == ModelInstanceGroup.KIND_GPU
    assert not head.optimization.execution_accelerators.gpu_execution_accelerator


def test_a_repository_is_not_wrapped_in_two_ways(tmp_path: Path) -> None:
    build(tmp_path / "wheel", tmp_path / "work")
    build(tmp_path / "container", tmp_path / "work", wrapping=Wrapping("container"))
    for flavour, other in (("wheel", Wrapping("container")), ("container", WHEEL)):
        files = {"model.onnx": tmp_path / "work" / f"{HEAD}.onnx"}
        with pytest.raises(ValueError, match="is made for Triton's"):
            add_version(tmp_path / flavour, HEAD, 2, files, {}, wrapping=other)


@pytest.fixture
def graphs(tmp_path: Path) -> tuple[Path, Path]:
    image, head = tmp_path / "image.onnx", tmp_path / "head.onnx"
    model = parser.parse_model(_IMAGE)
    weight = np.random.default_rng(0).normal(0, 3, (18, 3)).astype(np.float32)
    del model.graph.initializer[:]
    model.graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(weight, "weight"),
            onnx.numpy_helper.from_array(np.array([1 / 255], np.float32), "scale"),
        ]
    )
    onnx.save(model, str(image))
    onnx.save(parser.parse_model(_HEAD), str(head))
    return image, head


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("honest", [True, False])
def test_int8_takes_the_place_of_float_only_if_it_is_as_right_and_faster(
    graphs: tuple[Path, Path],
    honest: bool,  # noqa: FBT001
) -> None:
    image, head = graphs
    before = image.read_bytes()
    random = np.random.default_rng(1)
    pictures = random.integers(0, 256, (96, 1, 1, 3), np.uint8).repeat(SIDE, 1).repeat(SIDE, 2)
    weight = onnx.numpy_helper.to_array(onnx.load(str(image)).graph.initializer[0])
    truth = (pictures[:, 0, 0] / 255 @ weight.T).argmax(1)
    # Ranges taken from black pictures only are wrong for all others.
    calibration = pictures if honest else np.zeros_like(pictures)
    found = quantise(image, head, calibration=calibration, pictures=pictures, truth=truth)
    assert found.accuracy[0] == 1
    assert found.kept == (found.accuracy[0] - found.accuracy[1] < 0.005 and found.speed[1] > found.speed[0])
    assert (image.read_bytes() == before) == (not found.kept)
    if not honest:
        assert found.accuracy[1] < 0.9
        assert not found.kept
    assert sorted(path.name for path in image.parent.iterdir()) == ["head.onnx", "image.onnx"]
