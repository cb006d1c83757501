"""Triton beside bare PyTorch: images a second and latency by batch and concurrency, for three encoders.

    python -m deploy.gpu.bench                                   # an NVIDIA GPU, bf16, all encoders
    python -m deploy.gpu.bench --device cpu --quick lite2        # whether it works at all

Starts Triton from the nvidia-pytriton wheel (``deploy/local/triton_install.py`` makes its environment) with the python
backend and the torch of the Python that runs this; both must be the same Python 3.11 or 3.12. Weights are random.
"""

from __future__ import annotations

import shutil
import signal
import site
import sys
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from deploy.gpu import encoders, load
from deploy.gpu.load import Load
from deploy.local.errors import MissingDependency
from deploy.local.steps import INSTALLED
from deploy.local.triton import TritonServer

console = Console()
_MAX_BATCH = 128
_CONFIG = """\
name: "{model}"
backend: "python"
max_batch_size: {max_batch}
dynamic_batching {{ max_queue_delay_microseconds: 1000 }}
input [ {{ name: "pixels" data_type: TYPE_UINT8 dims: [{side}, {side}, 3] }} ]
output [ {{ name: "embedding" data_type: TYPE_FP32 dims: [-1] }} ]
instance_group [ {{ kind: {kind} count: {instances} }} ]
"""


class Device(StrEnum):
    """Where the encoder computes."""

    CUDA = "cuda"
    CPU = "cpu"


class Precision(StrEnum):
    """Of weights and activations."""

    BF16 = "bf16"
    FP16 = "fp16"
    FP32 = "fp32"


def repository(folder: Path, name: str, device: str, precision: str, instances: int) -> Path:
    """A model repository with one encoder, which finds torch where this Python has it."""
    version = folder / load.MODEL / "1"
    version.mkdir(parents=True)
    shutil.copyfile(Path(__file__).with_name("served.py"), version / "model.py")
    shutil.copyfile(Path(__file__).with_name("encoders.py"), version / "encoders.py")
    values = {
        "encoder": name,
        "precision": precision,
        "torch_path": ":".join([*site.getsitepackages(), str(Path(torch.__file__).parents[1])]),
    }
    config = _CONFIG.format(
        model=load.MODEL, max_batch=_MAX_BATCH, side=encoders.SPECS[name].side, instances=instances,
        kind="KIND_GPU" if device == "cuda" else "KIND_CPU",
    )  # fmt: skip
    config += "".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n' for key, value in values.items()
    )
    (version.parent / "config.pbtxt").write_text(config)
    return folder


def bare(name: str, device: str, precision: str, batch: int, seconds: float) -> float:
    """Images a second of PyTorch alone, pixels from ordinary memory and embeddings back to it, as Triton has to."""
    encoder = encoders.build(name, device, precision)
    side = encoders.SPECS[name].side
    pixels = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (batch, side, side, 3), np.uint8))
    done, begun = 0, 0.0
    with torch.inference_mode():
        until = float("inf")
        turns = 0
        while time.perf_counter() < until:
            encoder(pixels.to(device)).cpu()  # the copy back waits for the device
            turns += 1
            if turns == 3:
                begun, until = time.perf_counter(), time.perf_counter() + seconds
            elif turns > 3:
                done += batch
    return done / (time.perf_counter() - begun)


_OF_BARE = 0.8
_IMAGES = {"vit-b-32": 5_000}
"""What is to be reached on a GPU of the H100's class: Triton's share of the bare rate, and images a second."""


def judged(name: str, best: float, alone: float) -> str:
    """What was reached of the targets, in a sentence."""
    said = [f"best through Triton {best:,.0f} images/s, {best / alone:.2f} of bare PyTorch's best"]
    said.append(f"at least {_OF_BARE} of it is wanted: {'met' if best >= _OF_BARE * alone else 'missed'}")
    if name in _IMAGES:
        met = "met" if best > _IMAGES[name] else "missed"
        said.append(f"above {_IMAGES[name]:,} images/s are wanted on an H100-class GPU: {met}")
    return "; ".join(said)


def measure(name: str, device: str, precision: str, options: dict[str, Any]) -> tuple[Table, float, float]:
    """Bare rates and Triton's, as a table; then Triton's best and the bare best."""
    batches, seconds = options["batches"], options["seconds"]
    alone = {batch: bare(name, device, precision, batch, seconds) for batch in batches}
    best, served = max(alone.values()), 0.0
    spec = encoders.SPECS[name]
    table = Table(title=f"{spec.name}, {spec.side} px, {precision}: bare PyTorch at best {best:,.0f} images/s")
    for column in ("batch", "in flight", "images/s", "of bare", "p50 ms", "p99 ms", "bare at this batch"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory(prefix="colour-gpu-") as folder:
        models = repository(Path(folder) / "models", name, device, precision, options["instances"])
        server = TritonServer(Path(folder) / "triton", repository=models, models=(load.MODEL,), gpu=device == "cuda")
        server.install()
        _check_python()
        server.start()
        try:
            for batch in batches:
                for in_flight in options["in_flight"]:
                    answered = load.drive(Load(server.grpc, spec.side, batch, in_flight, seconds), options["processes"])
                    served = max(served, answered.rate)
                    p50, p99 = np.percentile(answered.latencies, [50, 99]) * 1000
                    table.add_row(
                        f"{batch}", f"{in_flight}", f"{answered.rate:,.0f}", f"{answered.rate / best:.2f}",
                        f"{p50:.1f}", f"{p99:.1f}", f"{alone[batch]:,.0f}",
                    )  # fmt: skip
        finally:
            server.stop()
    return table, served, best


def _check_python() -> None:
    """Triton's stub loads torch's extensions, which are built for one version of Python."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not (INSTALLED / "triton" / "lib" / f"python{ours}").is_dir():
        raise MissingDependency(
            f"Triton's environment was made with another Python than this {ours}; remove .local/triton"
        )


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Of: {', '.join(encoders.SPECS)}. None: all.")] = None,
    *,
    device: Device = Device.CUDA,
    precision: Precision = Precision.BF16,
    instances: Annotated[int, typer.Option(help="Copies of the encoder: one computes while another copies.")] = 2,
    processes: Annotated[int, typer.Option(help="That send requests.")] = 6,
    seconds: Annotated[float, typer.Option(help="For each row of the table.")] = 5.0,
    quick: Annotated[bool, typer.Option("--quick", help="Two rows each, to see whether it works.")] = False,
) -> None:
    """Print one table for each encoder."""
    unknown = set(names or ()) - set(encoders.SPECS)
    if unknown:
        raise typer.BadParameter(f"no encoder {', '.join(unknown)}; there are {', '.join(encoders.SPECS)}")
    if device == Device.CUDA and not torch.cuda.is_available():
        raise typer.BadParameter("torch sees no NVIDIA GPU; try --device cpu --quick lite2")
    where = torch.cuda.get_device_name() if device == Device.CUDA else "processor"
    # As Ctrl+C does: Triton is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = {
        "batches": (2,) if quick else (1, 8, 32, 64, _MAX_BATCH),
        "in_flight": (1,) if quick else (1, 4, 16),
        "instances": 1 if quick else instances,
        "processes": processes,
        "seconds": 1.0 if quick else seconds,
    }
    console.print(f"{where}; torch {torch.__version__}; {options['instances']} of each encoder; random weights")
    for name in names or encoders.SPECS:
        table, served, alone = measure(name, device.value, precision.value, options)
        console.print(table)
        console.print(judged(name, served, alone))


if __name__ == "__main__":
    typer.run(main)
