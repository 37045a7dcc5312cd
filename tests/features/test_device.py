"""The choice of device and number format, with the hardware played."""

from __future__ import annotations

import pytest
import torch

from uld_explorer.features.device import choose_device, choose_dtype, describe, on_zero_gpu
from uld_explorer.types import UserError


@pytest.fixture()
def hardware(monkeypatch: pytest.MonkeyPatch):
    def play(cuda: bool = False, mps: bool = False, bf16: bool = False, count: int = 1) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return play


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(False, False, "cpu"), (True, False, "cuda"), (False, True, "mps"), (True, True, "cuda")],
)
def test_auto(hardware, cuda: bool, mps: bool, expected: str) -> None:
    hardware(cuda=cuda, mps=mps)
    assert choose_device().type == expected


def test_a_missing_device_is_refused(hardware) -> None:
    hardware(cuda=True, count=2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert choose_device("cpu") == torch.device("cpu")
    for missing in ("cuda:2", "mps"):
        with pytest.raises(UserError, match="not there"):
            choose_device(missing)


@pytest.mark.parametrize("word", ["gpu", "cuda:x", "", "xpu"])
def test_an_unknown_device_is_refused(word: str) -> None:
    with pytest.raises(UserError, match="no device"):
        choose_device(word)


def test_dtype(hardware) -> None:
    hardware(cuda=True, bf16=True)
    assert choose_dtype(torch.device("cuda")) == torch.bfloat16
    hardware(cuda=True, bf16=False)
    assert choose_dtype(torch.device("cuda")) == torch.float16
    assert choose_dtype(torch.device("cpu")) == torch.float32
    assert choose_dtype(torch.device("mps")) == torch.float32
    assert choose_dtype(torch.device("cpu"), "bfloat16") == torch.bfloat16
    with pytest.raises(UserError, match="number format"):
        choose_dtype(torch.device("cpu"), "int8")


def test_describe(hardware) -> None:
    hardware(cuda=True)
    assert describe(torch.device("cpu"), torch.float32) == "CPU · float32"
    assert describe(torch.device("mps"), torch.float32) == "Apple GPU · float32"
    assert describe(torch.device("cuda"), torch.float16) == "Some GPU · float16"


def test_zero_gpu_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("CUDA was asked")

    for name in ("is_available", "device_count", "is_bf16_supported", "get_device_name"):
        monkeypatch.setattr(torch.cuda, name, forbidden)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert on_zero_gpu()
    for requested in ("auto", "cuda"):
        assert choose_device(requested).type == "cuda"
    assert choose_dtype(torch.device("cuda")) == torch.bfloat16
    assert describe(torch.device("cuda"), torch.bfloat16) == "ZeroGPU · bfloat16"
    monkeypatch.setenv("SPACES_ZERO_GPU", "0")
    assert not on_zero_gpu()
