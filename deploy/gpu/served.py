"""The python-backend model that serves an encoder: all requests of a call as one batch on the device.

Copied into the repository as ``model.py``, with ``encoders.py`` beside it. It runs in Triton's own environment, which
has numpy 1 and no torch: that is taken from the folders named in the configuration.
"""

import json
import sys
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One instance, driven by Triton."""

    def initialize(self, args: dict[str, str]) -> None:
        parameters = {
            key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()
        }
        # Behind Triton's own packages: its numpy must win.
        sys.path += [*parameters["torch_path"].split(":"), str(Path(__file__).parent)]
        import encoders  # type: ignore[import-not-found]  # noqa: PLC0415 - the path is known only now
        import torch  # noqa: PLC0415

        self.torch = torch
        self.device = "cuda" if args["model_instance_kind"] == "GPU" else "cpu"
        if self.device == "cuda":
            torch.cuda.set_device(int(args["model_instance_device_id"]))
        self.encoder = encoders.build(parameters["encoder"], self.device, parameters["precision"])

    def execute(self, requests: list[Any]) -> list[Any]:
        torch = self.torch
        rows = [pb_utils.get_input_tensor_by_name(request, "pixels").as_numpy() for request in requests]
        with torch.inference_mode():
            pixels = torch.cat([torch.from_numpy(row).to(self.device, non_blocking=True) for row in rows])
            embeddings = self.encoder(pixels).cpu().numpy()
        responses, start = [], 0
        for row in rows:
            answer = embeddings[start : start + len(row)]
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("embedding", answer)]))
            start += len(row)
        return responses
