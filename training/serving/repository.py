"""Triton's model repository: adds a version of a model beside the others, and names the release that is active.

    triton_models/<model>/config.pbtxt   version policy, and parameters keyed by version
    triton_models/<model>/<version>/     model.py, model.onnx, golden.npz, and tokenizer.json of the text encoder
    triton_models/colour_release/        a model whose parameters name the active release

``worker.models.releases`` reads the parameters through Triton; nothing else says what is live.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnxruntime
from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelInstanceGroup

from training.serving import backends

IMAGE, TEXT, HEAD, RELEASE = "colour_image", "colour_text", "colour_head", "colour_release"
ACTIVE = "release/active"
# What decides a version's answers; golden.npz only checks them.
_DECIDING = ("model.py", "model.onnx", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Interface:
    """What a model takes and gives.

    Parameters:
        inputs, outputs: name -> (type, dimensions without the batch); -1 where another version may differ.
        max_batch: rows of one run.
        delay: microseconds that requests wait for others to share a run.
        instances: processes (wheel) or sessions (container) that run at once on the CPU.
        code: file of ``training.serving.backends`` that becomes ``model.py``.
    """

    inputs: Mapping[str, tuple[DataType, tuple[int, ...]]]
    outputs: Mapping[str, tuple[DataType, tuple[int, ...]]]
    max_batch: int
    delay: int
    code: str
    instances: int = 1


Flavour = Literal["wheel", "container"]


@dataclass(frozen=True, slots=True)
class Wrapping:
    """Which of Triton's backends runs the graphs; the graphs, and so the fingerprints, are the same.

    Parameters:
        flavour: ``wheel`` runs all of them by ``model.py`` (the server from PyPI has the python backend only);
            ``container`` runs image encoder and head by the onnxruntime backend of NVIDIA's image, and the text
            encoder, which needs its tokenizer, by ``model.py`` (its Python then needs onnxruntime and tokenizers).
        tensorrt: the image encoder on GPUs, by TensorRT in half precision.
    """

    flavour: Flavour = "wheel"
    tensorrt: bool = False


WHEEL = Wrapping()
ENGINES = "/var/cache/tensorrt"
"""Folder inside the container for TensorRT's engines; mount a volume there."""

_FLOAT = DataType.TYPE_FP32
INTERFACES: dict[str, Interface] = {
    IMAGE: Interface(
        {"pixels": (DataType.TYPE_UINT8, (-1, -1, 3))}, {"embedding": (_FLOAT, (-1,))}, 64, 2_000, "tensors.py", 2
    ),
    TEXT: Interface({"text": (DataType.TYPE_STRING, (1,))}, {"embedding": (_FLOAT, (-1,))}, 128, 1_000, "text.py"),
    HEAD: Interface(
        {"image_embedding": (_FLOAT, (-1,)), "text_embedding": (_FLOAT, (-1,))},
        {"probabilities": (_FLOAT, (-1,))},
        256,
        500,
        "tensors.py",
    ),
}


def fingerprint(version: Path) -> str:
    """First 12 hexadecimal digits of a SHA-256 over the files of a version that decide its answers."""
    digest = hashlib.sha256()
    for name in _DECIDING:
        path = version / name
        if path.is_file():
            digest.update(f"{name} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def read_config(repository: Path, model: str) -> ModelConfig:
    """A model's configuration; a new one where there is none yet."""
    path = repository / model / "config.pbtxt"
    if not path.is_file():
        return _new_config(model)
    return text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())


def add_version(
    repository: Path,
    model: str,
    version: int,
    files: Mapping[str, Path],
    values: Mapping[str, str],
    *,
    wrapping: Wrapping = WHEEL,
) -> str:
    """Put a version beside those that are there.

    Parameters:
        repository: the model repository; it need not exist.
        model: one of ``IMAGE``, ``TEXT`` and ``HEAD``.
        version: a number that is not in use, or one to write over.
        files: name in the version's folder -> file to copy: ``model.onnx``, ``golden.npz``, ``tokenizer.json``.
        values: the version's parameters without fingerprint, e.g. ``{"side": "112", "width": "256"}``.
        wrapping: how Triton runs it; the same for all versions of a model.

    Returns:
        the version's fingerprint.

    Raises:
        ValueError: the graph's inputs and outputs are not those that the model's configuration promises, or the
            repository's other versions are wrapped in another way.
    """
    interface, folder = INTERFACES[model], repository / model / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in files.items():
        shutil.copyfile(source, folder / name)
    shutil.copyfile(Path(backends.__file__).parent / interface.code, folder / "model.py")
    _check_graph(folder / "model.onnx", model)
    mark = fingerprint(folder)
    config = read_config(repository, model)
    if wrapping.flavour == "container" and model != TEXT:
        _wrap(config, folder / "model.onnx", gpu=wrapping.tensorrt and model == IMAGE)
    elif config.backend != "python":
        raise ValueError(f"{repository / model} is made for Triton's container; export with --flavour container")
    served = config.version_policy.specific.versions
    if version not in served:
        served.append(version)
    for name, value in {"fingerprint": mark, **values}.items():
        config.parameters[f"{version}/{name}"].string_value = value
    _write_config(repository, config)
    return mark


def active(repository: Path) -> dict[str, int] | None:
    """The versions of the active release, ``{"image": 1, "text": 1, "head": 2}``; None where none was named yet."""
    parameters = read_config(repository, RELEASE).parameters
    if ACTIVE not in parameters:
        return None
    pairs = (pair.split("=") for pair in parameters[ACTIVE].string_value.split())
    return {name: int(version) for name, version in pairs}


def activate(repository: Path, *, image: int, text: int, head: int) -> None:
    """Name the release that workers shall use from their next look at it on.

    Raises:
        ValueError: the head was made for other encoders than these.
    """
    config = read_config(repository, HEAD)
    for name, model, version in (("image", IMAGE, image), ("text", TEXT, text)):
        made_for = config.parameters[f"{head}/{name}_fingerprint"].string_value
        found = read_config(repository, model).parameters[f"{version}/fingerprint"].string_value
        if made_for != found:
            raise ValueError(f"head {head} was made for {name} encoder {made_for}, version {version} is {found}")
    folder = repository / RELEASE / "1"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(backends.__file__).parent / "release.py", folder / "model.py")
    live = read_config(repository, RELEASE)
    live.parameters[ACTIVE].string_value = f"image={image} text={text} head={head}"
    _write_config(repository, live)


def _new_config(model: str) -> ModelConfig:
    if model == RELEASE:
        config = ModelConfig(name=model, backend="python")
        config.input.add(name="ask", data_type=DataType.TYPE_BOOL, dims=[1])
        config.output.add(name="active", data_type=DataType.TYPE_STRING, dims=[1])
        config.instance_group.add(count=1, kind=ModelInstanceGroup.KIND_CPU)
        return config
    interface = INTERFACES[model]
    config = ModelConfig(name=model, backend="python", max_batch_size=interface.max_batch)
    for name, (kind, dims) in interface.inputs.items():
        config.input.add(name=name, data_type=kind, dims=dims)
    for name, (kind, dims) in interface.outputs.items():
        config.output.add(name=name, data_type=kind, dims=dims)
    config.instance_group.add(count=interface.instances, kind=ModelInstanceGroup.KIND_CPU)
    # No priority levels: with them Triton's batcher is not woken by what comes while every instance is busy, and looks
    # again only after half a second (docs/performance.md, "Priorities").
    config.dynamic_batching.max_queue_delay_microseconds = interface.delay
    return config


def _wrap(config: ModelConfig, graph: Path, *, gpu: bool) -> None:
    """For the onnxruntime backend, which wants the graph's own dimensions instead of -1."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    if config.backend == "python" and config.version_policy.specific.versions:
        raise ValueError(f"{config.name} is made for Triton's wheel; export into a repository of its own")
    for tensors, promised in ((session.get_inputs(), config.input), (session.get_outputs(), config.output)):
        dims = {tensor.name: [size if isinstance(size, int) else -1 for size in tensor.shape[1:]] for tensor in tensors}
        for tensor in promised:
            if config.backend == "onnxruntime" and list(tensor.dims) != dims[tensor.name]:
                was = f"{list(tensor.dims)}, this version's are {dims[tensor.name]}"
                raise ValueError(f"{config.name}: the other versions' {tensor.name} is {was}; use another repository")
            del tensor.dims[:]
            tensor.dims.extend(dims[tensor.name])
    config.backend, config.platform, config.default_model_filename = "onnxruntime", "onnxruntime_onnx", "model.onnx"
    if not gpu:
        return
    config.instance_group[0].kind, config.instance_group[0].count = ModelInstanceGroup.KIND_GPU, 1
    del config.optimization.execution_accelerators.gpu_execution_accelerator[:]
    accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="tensorrt")
    # An engine takes minutes to build; kept, it is built once a GPU type.
    for key, value in (
        ("precision_mode", "FP16"),
        ("trt_engine_cache_enable", "1"),
        ("trt_engine_cache_path", ENGINES),
    ):
        accelerator.parameters[key] = value


def _write_config(repository: Path, config: ModelConfig) -> None:
    text = text_format.MessageToString(config, use_short_repeated_primitives=True)
    path = repository / config.name / "config.pbtxt"
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    # Triton may be told to load the model at any moment and must never see half a file.
    partial.replace(path)


def _check_graph(path: Path, model: str) -> None:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    interface = INTERFACES[model]
    outputs = {put.name for put in session.get_outputs()}
    if outputs != set(interface.outputs):
        raise ValueError(f"{path} gives {sorted(outputs)}, {model} must give {sorted(interface.outputs)}")
    inputs = {put.name for put in session.get_inputs()}
    if model != TEXT and inputs != set(interface.inputs):
        raise ValueError(f"{path} takes {sorted(inputs)}, {model} must take {sorted(interface.inputs)}")
