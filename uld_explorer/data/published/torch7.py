"""Reads one tensor of numbers from a binary Torch7 file (.t7), and nothing else that such files can hold."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from uld_explorer.types import UserError

_OBJECT = 4
_KINDS: dict[str, np.dtype] = {
    "Float": np.dtype("<f4"),
    "Double": np.dtype("<f8"),
    "Int": np.dtype("<i4"),
    "Long": np.dtype("<i8"),
}
MAX_NUMBERS = 1_000_000
MAX_DIMENSIONS = 8


class _Reader:
    """Fields of the file one after the other; ends in ValueError where they are not what they must be."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise ValueError("cut short")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, kind: str = "<i") -> int:
        return int(struct.unpack(kind, self.take(struct.calcsize(kind)))[0])

    def text(self) -> str:
        return self.take(self.number()).decode("ascii")

    def head(self, suffix: str) -> np.dtype:
        """The head of an object of class torch.KINDsuffix: which numbers it holds."""
        if self.number() != _OBJECT:
            raise ValueError("no torch object")
        self.number()  # its place among the file's objects
        name = self.text()
        if name.startswith("V "):
            name = self.text()
        kind = name.removeprefix("torch.").removesuffix(suffix)
        if name != f"torch.{kind}{suffix}" or kind not in _KINDS:
            raise ValueError(f"a {name[:40]}")
        return _KINDS[kind]


def read_tensor(path: Path) -> np.ndarray:
    """The tensor of a file written by torch.save in Lua's Torch.

    Raises:
        UserError: the file holds anything else, or is damaged.
    """
    try:
        return _tensor(_Reader(path.read_bytes()))
    except (OSError, ValueError, struct.error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a Torch7 tensor ({error}).") from None


def _tensor(file: _Reader) -> np.ndarray:
    kind = file.head("Tensor")
    dimensions = file.number()
    if not 0 < dimensions <= MAX_DIMENSIONS:
        raise ValueError(f"{dimensions} dimensions")
    shape = tuple(file.number("<q") for _ in range(dimensions))
    strides = tuple(file.number("<q") for _ in range(dimensions))
    offset = file.number("<q") - 1  # Lua counts from 1
    if file.head("Storage") != kind:
        raise ValueError("a storage of other numbers")
    count = file.number("<q")
    if not 0 < count <= MAX_NUMBERS or min(shape) < 1 or math.prod(shape) > MAX_NUMBERS or min(strides) < 0:
        raise ValueError("sizes out of bounds")
    storage = np.frombuffer(file.take(count * kind.itemsize), kind)
    index = offset + np.tensordot(np.array(strides), np.indices(shape), 1)
    if index.min() < 0 or index.max() >= count:
        raise ValueError("points outside its storage")
    return storage[index]
