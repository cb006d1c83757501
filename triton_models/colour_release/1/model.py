"""Triton model that carries what is live: its parameters name the release, and it answers with the name.

A model of its own, since Triton starts all versions of a model anew when its configuration changes: activating a
release must touch neither an encoder nor a head.
"""

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One instance of the model, driven by Triton."""

    def initialize(self, args: dict[str, str]) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self.active = np.array([parameters["release/active"]["string_value"].encode()], np.object_)

    def execute(self, requests: list[Any]) -> list[Any]:
        return [pb_utils.InferenceResponse([pb_utils.Tensor("active", self.active)]) for _ in requests]
