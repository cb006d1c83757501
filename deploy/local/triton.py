"""Triton Inference Server out of the ``nvidia-pytriton`` wheel, in a Python environment of its own.

The wheel holds the whole server with its python backend; nothing of pytriton's own code is used. The environment is
apart from the project's because that backend needs numpy 1: with numpy 2 it returns tensors of zero bytes.
"""

from __future__ import annotations

import contextlib
import http.client
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK, answers
from deploy.local.server import Server
from deploy.local.steps import REPOSITORY
from deploy.local.triton_install import TritonInstallation, install_triton

MODELS = ("colour_image", "colour_text", "colour_head", "colour_release")


class TritonServer(Server):
    """One Triton with explicit model control.

    Parameters:
        directory: its own folder.
        repository: the model repository that it serves; it is read, never written.
        models: what to load at the start. The server is ready when all of them are.
        gpu: let the server see this machine's GPUs.
    """

    name: ClassVar[str] = "triton"
    port_names: ClassVar[tuple[str, ...]] = ("grpc", "http", "metrics")

    def __init__(
        self,
        directory: Path,
        *,
        repository: Path = REPOSITORY / "triton_models",
        models: Sequence[str] = MODELS,
        gpu: bool = False,
    ) -> None:
        super().__init__(directory)
        self.repository = repository.resolve()
        self.models = tuple(models)
        self.gpu = gpu
        self._installation: TritonInstallation | None = None

    @property
    def grpc(self) -> str:
        """``host:port`` for ``tritonclient.grpc``."""
        return f"{LOOPBACK}:{self.ports['grpc']}"

    @property
    def http(self) -> str:
        """``host:port`` for HTTP."""
        return f"{LOOPBACK}:{self.ports['http']}"

    @property
    def metrics(self) -> str:
        """The address of the Prometheus metrics."""
        return f"http://{LOOPBACK}:{self.ports['metrics']}/metrics"

    def settings(self) -> dict[str, str]:
        return {"COLOUR_TRITON__URL": self.grpc}

    def install(self) -> None:
        self._installation = install_triton()

    def prepare(self) -> None:
        missing = [model for model in self.models if not (self.repository / model / "config.pbtxt").is_file()]
        if missing:
            raise StackError(f"{self.repository} holds no model {', '.join(missing)}; give another model repository")

    def command(self) -> list[str]:
        return [
            str(self.installation.server),
            f"--backend-directory={self.installation.backends}",
            f"--model-repository={self.repository}",
            "--model-control-mode=explicit",
            *(f"--load-model={model}" for model in self.models),
            # All that decides a model's answers is in its config.pbtxt; completing it would start each model twice.
            "--disable-auto-complete-config",
            f"--grpc-address={LOOPBACK}", f"--grpc-port={self.ports['grpc']}",
            f"--http-address={LOOPBACK}", f"--http-port={self.ports['http']}",
            f"--metrics-address={LOOPBACK}", f"--metrics-port={self.ports['metrics']}",
            # A worker may ask every 10 s whether the connection lives, with no request under way, and not be cut off
            # for it (gRPC's default: GOAWAY "too_many_pings" below 5 minutes).
            "--grpc-http2-min-recv-ping-interval-without-data=5000",
            "--grpc-keepalive-permit-without-calls=1",
            "--exit-timeout-secs=10",
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory_prefix}",
        ]  # fmt: skip

    def environment(self) -> Mapping[str, str]:
        # What the caller's Python is told about itself must not reach the server's.
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        return {
            **inherited,
            **self.installation.environment,
            **({} if self.gpu else {"CUDA_VISIBLE_DEVICES": ""}),
        }

    def is_ready(self) -> bool:
        if not self.ports or not answers(self.ports["http"]):
            return False
        paths = ["/v2/health/ready", *(f"/v2/models/{model}/ready" for model in self.models)]
        connection = http.client.HTTPConnection(LOOPBACK, self.ports["http"], timeout=2)
        with contextlib.closing(connection):
            try:
                return all(_status(connection, path) == 200 for path in paths) and answers(self.ports["grpc"])
            except (OSError, http.client.HTTPException):
                return False

    def clean_up(self) -> None:
        # A killed server leaves its shared memory with the python backend behind.
        for region in Path("/dev/shm").glob(f"{self._shared_memory_prefix}*"):  # noqa: S108 - where shm_open puts them
            region.unlink(missing_ok=True)

    @property
    def installation(self) -> TritonInstallation:
        """Where the server's parts are."""
        if self._installation is None:
            self._installation = install_triton()
        return self._installation

    @property
    def _shared_memory_prefix(self) -> str:
        return f"colour_triton_{self.ports.get('grpc', 0)}_"


def _status(connection: http.client.HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response.status
