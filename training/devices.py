"""Where a stage computes: the CPU, one GPU, or several by ``torchrun``; the stages read the same for all of them.

``torchrun --nproc_per_node 4 -m training.cli encoder …`` starts one process a GPU (on a machine without any, processes
on the CPU that speak gloo). Every process draws pictures of its own; the batch of the settings is that of all together.
On CUDA the passes run in bfloat16 and are compiled; on the CPU in float32 as written, so that a seed repeats itself.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Device:
    """This process's share of the work.

    Parameters:
        kind: what tensors are moved to.
        rank, world: which of how many processes this is.
        fast: whether passes run in bfloat16 and are compiled, at the price of the last digits.
    """

    kind: torch.device
    rank: int = 0
    world: int = 1
    fast: bool = False

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, batch: int) -> int:
        """This process's part of a batch.

        Raises:
            ValueError: the batch cannot be divided.
        """
        if batch % self.world:
            raise ValueError(f"a batch of {batch} cannot be shared by {self.world} processes")
        return batch // self.world

    def loaders(self, wanted: int | None) -> int:
        """How many processes compose pictures for this one: ``wanted``, or if that is None as many as it can feed on.

        On the CPU one, which shares its core with the passes. A GPU takes more pictures than a core can compose: there
        the cores are shared out among the machine's processes, and one of each share is left to the process itself.
        """
        if wanted is not None:
            return wanted
        if self.kind.type != "cuda":
            return 1
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return max(1, len(os.sched_getaffinity(0)) // local - 1)

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 where it is to be fast, else nothing."""
        return torch.autocast(self.kind.type, torch.bfloat16) if self.fast else contextlib.nullcontext()

    def wrap(self, module: nn.Module) -> nn.Module:
        """What the passes are called on: compiled where it is to be fast, gradients averaged over all processes."""
        wrapped: nn.Module = module
        if self.world > 1:
            wrapped = DistributedDataParallel(wrapped, device_ids=[self.kind] if self.kind.type == "cuda" else None)
        if self.fast:
            wrapped = torch.compile(wrapped)  # type: ignore[assignment]
        return wrapped

    def wait(self) -> None:
        """Until every process is here: what the first one wrote can then be read by all."""
        if self.world > 1:
            distributed.barrier()

    def agree(self, value: bool) -> bool:  # noqa: FBT001  one yes or no is all there is
        """The first process's answer, in every process."""
        if self.world == 1:
            return value
        answer = torch.tensor([int(value)], device=self.kind)
        distributed.broadcast(answer, 0)
        return bool(answer.item())

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, [world * n, …]; their gradients go back to the process they came from."""
        if self.world == 1:
            return rows
        gathered: Tensor = _Gather.apply(rows)
        return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.rows = len(rows)
        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # Every process computed the same loss of all rows: the sum counts it as often as DDP then divides it.
        gradient = gradients[0].contiguous()
        distributed.all_reduce(gradient)
        first = distributed.get_rank() * ctx.rows
        return gradient[first : first + ctx.rows]


@contextlib.contextmanager
def device() -> Iterator[Device]:
    """The best device here; under ``torchrun`` the process group is set up and taken down."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    kind = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    here = Device(kind, rank, world, fast=cuda)
    if world == 1:
        yield here
        return
    if cuda:
        torch.cuda.set_device(kind)
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield here
    finally:
        distributed.destroy_process_group()


def alone(stage: str) -> None:
    """For the stages that write what every process would write.

    Raises:
        RuntimeError: it was started by ``torchrun`` with several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RuntimeError(f"`{stage}` runs in one process; torchrun is for `scratch` and `encoder`")


def where(module: nn.Module) -> torch.device:
    """Where a module computes; the CPU if it has no parameters."""
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


def save(content: Any, path: Path) -> None:
    """``torch.save`` that a kill cannot leave half-written."""
    partial = path.with_name(f"{path.name}.partial")
    torch.save(content, partial)
    partial.replace(path)
