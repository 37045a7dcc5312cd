"""Names of tensors in a file: several things' tensors under a prefix each. Knows names only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def under(tensors: Mapping[str, T], prefix: str) -> dict[str, T]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
