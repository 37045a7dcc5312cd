"""Several processes working on one run together, as `accelerate launch` starts them; with one, nothing happens here.

Every process runs the same program on the same draws. What is dear is shared out: pictures through the diffusion model,
and a training batch through the network. Its outputs are gathered again, with their gradients, so that every process
computes the loss of the whole batch and descends as one alone would. Files are written by the main process. The data
folder must be one that all can reach.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

T = TypeVar("T")

PATIENCE = timedelta(hours=12)
"""How long a process waits for the others."""
_LAUNCHED = "WORLD_SIZE"


@contextmanager
def joined(device: str = "auto") -> Iterator[None]:
    """Join the other processes of the launch for as long as this lasts; nothing to join where there is one."""
    if int(os.environ.get(_LAUNCHED, "1")) < 2:
        yield
        return
    import torch
    from accelerate import PartialState

    cpu = device == "cpu" or not torch.cuda.is_available()
    state = PartialState(cpu=cpu, timeout=PATIENCE)
    if not cpu:
        torch.cuda.set_device(state.device)
    try:
        yield
    finally:
        state.destroy_process_group()


def _group() -> Any:
    """torch.distributed where processes have joined, else None."""
    if int(os.environ.get(_LAUNCHED, "1")) < 2:
        return None
    import torch.distributed as distributed

    return distributed if distributed.is_available() and distributed.is_initialized() else None


def count() -> int:
    """How many processes work together."""
    group = _group()
    return 1 if group is None else int(group.get_world_size())


def rank() -> int:
    """The number of this process, from 0."""
    group = _group()
    return 0 if group is None else int(group.get_rank())


def is_main() -> bool:
    """Whether this process writes files and speaks to people."""
    return rank() == 0


def wait() -> None:
    """Go on when all processes have come here."""
    if (group := _group()) is not None:
        group.barrier()


@contextmanager
def main_first() -> Iterator[None]:
    """The main process does what is inside first, then the others, who find in the cache what it has made."""
    if not is_main():
        wait()
    yield
    if is_main():
        wait()


def own_rows(total: int) -> np.ndarray:
    """Rows of `total` that this process takes: equally many in each, the last row again where they do not go up."""
    each = -(-total // count())
    return np.minimum(np.arange(rank() * each, (rank() + 1) * each), total - 1)


def gather(part: Tensor, total: int) -> Tensor:
    """(total, ...) the outputs of all processes for their `own_rows`, this one's being `part`, with their gradients."""
    if count() == 1:
        return part
    import torch

    gathered: Tensor = _gather_function().apply(part) if torch.is_grad_enabled() else _all_gather(part)
    return gathered[:total]


def _all_gather(part: Tensor) -> Tensor:
    import torch

    parts = [torch.empty_like(part) for _ in range(count())]
    _group().all_gather(parts, part.contiguous())
    return torch.cat(parts)


def _gather_function() -> Any:
    """The gathering as a function with a gradient. Made here, because torch comes late."""
    import torch

    class Gather(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, part: Tensor) -> Tensor:
            ctx.size = len(part)
            return _all_gather(part)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            # Every process has the gradient of the whole loss and is asked for its own rows only. Gradients of
            # parameters are averaged afterwards, which divides what must be a sum by the number of processes.
            start = rank() * ctx.size
            return gradient[start : start + ctx.size] * count()

    return Gather


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """The mean over processes of every gradient that there is, in place."""
    group = _group()
    if group is None:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            group.all_reduce(parameter.grad)
            parameter.grad /= count()


def agreed(values: dict[str, T]) -> dict[str, T]:
    """The main process's values, in all."""
    group = _group()
    if group is None:
        return values
    box: list[Any] = [values]
    group.broadcast_object_list(box, src=0)
    known: dict[str, T] = box[0]
    return known
