"""Where a network runs and in which number format.

Knows CUDA, Apple's MPS, the CPU and Spaces with a shared GPU (ZeroGPU). Knows nothing about networks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from uld_explorer.types import UserError

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "float16", "bfloat16")


def on_zero_gpu() -> bool:
    """Whether this process is a Space with a shared GPU, where CUDA must not be asked anything outside a GPU call."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() not in ("", "0", "false", "no")


def choose_device(requested: str = "auto") -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:<number>" or "mps".

    "auto" takes CUDA, then MPS, then the CPU. On ZeroGPU it takes CUDA without asking whether it is there.

    Raises UserError where the requested device is unknown or missing.
    """
    import torch

    if requested == "auto":
        if on_zero_gpu() or torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = requested.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise UserError(f"There is no device '{requested}': use auto, cpu, cuda, cuda:0 or mps.")
    if not _is_there(kind, int(number or 0)):
        raise UserError(f"The device '{requested}' is not there on this machine: use auto or cpu.")
    return torch.device(requested)


def _is_there(kind: str, number: int) -> bool:
    import torch

    if kind == "cuda":
        return on_zero_gpu() or (torch.cuda.is_available() and number < torch.cuda.device_count())
    return kind == "cpu" or torch.backends.mps.is_available()


def choose_dtype(device: torch.device, requested: str = "auto") -> torch.dtype:
    """The number format for "auto", "float32", "float16" or "bfloat16" on that device.

    "auto": CUDA bfloat16 where the hardware has it, else float16; CPU float32 (half precision is not faster there);
    MPS float32, because float16 overflows in the attention of some networks and would turn features into NaN.

    Raises UserError for any other word.
    """
    import torch

    if requested in DTYPES:
        dtype: torch.dtype = getattr(torch, requested)
        return dtype
    if requested != "auto":
        raise UserError(f"There is no number format '{requested}': use auto, {', '.join(DTYPES)}.")
    if device.type != "cuda":
        return torch.float32
    native = on_zero_gpu() or torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float16


def describe(device: torch.device, dtype: torch.dtype) -> str:
    """What is really used, for people: "CPU · float32"."""
    import torch

    names = {"cpu": "CPU", "mps": "Apple GPU"}
    name = names.get(device.type, str(device))
    if device.type == "cuda":
        name = "ZeroGPU" if on_zero_gpu() else torch.cuda.get_device_name(device)
    return f"{name} · {str(dtype).removeprefix('torch.')}"
