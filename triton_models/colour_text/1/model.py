"""Triton model of texts: tokenizer.json, then model.onnx of its version, all requests of a call as one batch.

Any bytes are answered: what is no UTF-8 is replaced, what is long is cut, an empty text is a row of padding.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
from tokenizers import Tokenizer

# The tokenizer keeps some dozens of tokens; more bytes than these cannot change them, save in texts without any words.
_BYTES = 8192


class TritonPythonModel:
    """One instance of the model, driven by Triton."""

    def initialize(self, args: dict[str, str]) -> None:
        version = Path(args["model_repository"]) / args["model_version"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("ORT_THREADS") or len(os.sched_getaffinity(0)))
        # Idle threads that spin would take the cores from the other models and from the worker.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[Any] = ["CPUExecutionProvider"]
        if args["model_instance_kind"] == "GPU":
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(args["model_instance_device_id"])}))
        self.session = onnxruntime.InferenceSession(str(version / "model.onnx"), options, providers=providers)
        (self.ids,) = self.session.get_inputs()
        (self.output,) = self.session.get_outputs()
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self.tokenizer = Tokenizer.from_file(str(version / "tokenizer.json"))
        if self.tokenizer.truncation is None or self.tokenizer.padding is None:
            raise ValueError("tokenizer.json neither cuts nor pads; export it with truncation and padding")

    def execute(self, requests: list[Any]) -> list[Any]:
        arrays = [pb_utils.get_input_tensor_by_name(request, "text").as_numpy() for request in requests]
        wrong = [array.ndim != 2 or array.shape[1] != 1 for array in arrays]
        good = [array for array, bad in zip(arrays, wrong, strict=True) if not bad]
        found = self.embed([value for array in good for value in array[:, 0]]) if good else np.empty(0)
        responses, start = [], 0
        for array, bad in zip(arrays, wrong, strict=True):
            if bad:
                error = pb_utils.TritonError(
                    f"text has the shape {list(array.shape)}, expected [n, 1]", pb_utils.TritonError.INVALID_ARG
                )
                responses.append(pb_utils.InferenceResponse([], error))
                continue
            stop = start + len(array)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor(self.output.name, found[start:stop])]))
            start = stop
        return responses

    def embed(self, values: list[bytes]) -> np.ndarray[Any, Any]:
        """Embeddings float32 [n, width] of n byte strings."""
        texts = [bytes(value)[:_BYTES].decode("utf-8", "replace") for value in values]
        ids = np.array([tokens.ids for tokens in self.tokenizer.encode_batch(texts)], np.int64)
        found: np.ndarray[Any, Any] = self.session.run([self.output.name], {self.ids.name: ids})[0]
        return found
