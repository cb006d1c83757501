"""Triton model of tensors in, tensors out: runs model.onnx of its version, all requests of a call as one batch.

Names, types and shapes are those of the graph. A request of another shape, or with numbers that are not finite, is
refused alone; the others of the same call are answered.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


def open_session(args: dict[str, str]) -> Any:
    """Session of the version's graph on the device that Triton gave this instance."""
    version = Path(args["model_repository"]) / args["model_version"]
    options = onnxruntime.SessionOptions()
    # The instances of a model share the cores: two with a thread each wait for each other less than one with two.
    instances = json.loads(args["model_config"])["instance_group"][0]["count"]
    cores = max(1, len(os.sched_getaffinity(0)) // instances)
    options.intra_op_num_threads = int(os.environ.get("ORT_THREADS") or cores)
    # Idle threads that spin would take the cores from the other models and from the worker.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = ["CPUExecutionProvider"]
    if args["model_instance_kind"] == "GPU":
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(args["model_instance_device_id"])}))
    return onnxruntime.InferenceSession(str(version / "model.onnx"), options, providers=providers)


class Refused(Exception):
    """A request that cannot be answered; its sentence goes back to the client."""


class TritonPythonModel:
    """One instance of the model, driven by Triton."""

    def initialize(self, args: dict[str, str]) -> None:
        self.session = open_session(args)
        self.shapes = {put.name: tuple(put.shape[1:]) for put in self.session.get_inputs()}
        self.outputs = [put.name for put in self.session.get_outputs()]
        config = json.loads(args["model_config"])
        for key, graph in (("input", set(self.shapes)), ("output", set(self.outputs))):
            named = {put["name"] for put in config[key]}
            if named != graph:
                raise ValueError(f"config.pbtxt names the {key}s {sorted(named)}, model.onnx {sorted(graph)}")

    def execute(self, requests: list[Any]) -> list[Any]:
        rows = [self.read(request) for request in requests]
        good = [row for row in rows if not isinstance(row, Refused)]
        answers: dict[str, np.ndarray[Any, Any]] = {}
        if good:
            batch = {name: np.concatenate([row[name] for row in good]) for name in self.shapes}
            answers = dict(zip(self.outputs, self.session.run(self.outputs, batch), strict=True))
        responses, start = [], 0
        for row in rows:
            if isinstance(row, Refused):
                error = pb_utils.TritonError(str(row), pb_utils.TritonError.INVALID_ARG)
                responses.append(pb_utils.InferenceResponse([], error))
                continue
            stop = start + len(next(iter(row.values())))
            tensors = [pb_utils.Tensor(name, found[start:stop]) for name, found in answers.items()]
            responses.append(pb_utils.InferenceResponse(tensors))
            start = stop
        return responses

    def read(self, request: Any) -> dict[str, np.ndarray[Any, Any]] | Refused:
        """The request's arrays by name, or why it is refused."""
        arrays = {}
        for name, shape in self.shapes.items():
            array = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            if array.shape[1:] != shape:
                return Refused(f"{name} has the shape {list(array.shape[1:])}, this version takes {list(shape)}")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                return Refused(f"{name} holds numbers that are not finite")
            arrays[name] = array
        return arrays
