"""What the readers of annotation files have in common: the table they return, and checked numbers, names and points.

Every function raises UserError with half a sentence ("has no ..."), which `data.annotations` completes with the name of
the file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uld_explorer.types import UserError

MAX_BYTES = 200 << 20
MAX_POINTS = 2_000  # tables are dense, pictures by points: a forged file must not fill the memory


@dataclass(frozen=True)
class AnnotatedPicture:
    """The points of one picture, in pixels of a picture of `size`.

    xy (P, 2) float64, NaN where not annotated · visibility (P,) uint8, 0, 1 or 2 · box (4,) float64, x, y, width,
    height, NaN where there is none · yaw in degrees or None · size (width, height) in pixels or None
    """

    xy: np.ndarray
    visibility: np.ndarray
    box: np.ndarray
    yaw: float | None = None
    size: tuple[float, float] | None = None


@dataclass(frozen=True)
class AnnotationTable:
    """What an annotation file says: the names of its P points, and its pictures by the name written in the file."""

    names: tuple[str, ...]
    pictures: dict[str, AnnotatedPicture]


def read_text(path: Path) -> str:
    """The file as text. Raises UserError for what is no UTF-8 or larger than MAX_BYTES."""
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"is larger than {MAX_BYTES >> 20} MiB")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("is not text in UTF-8") from error


def number(value: object, what: str) -> float:
    """A float, NaN for nothing. Raises UserError for what is not a number."""
    if value is None or value == "":
        return math.nan
    try:
        if isinstance(value, (int, float, str)):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise UserError(f"has {str(value)[:40]!r} as {what}, which is not a number")


def size_of(width: object, height: object) -> tuple[float, float] | None:
    """Width and height in pixels; None unless both are positive numbers."""
    size = number(width, "a width"), number(height, "a height")
    return size if all(math.isfinite(side) and side > 0 for side in size) else None


def optional(value: float) -> float | None:
    """The value, or None for NaN and infinities."""
    return value if math.isfinite(value) else None


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names of the points. Raises UserError for too many, and for one that is there twice."""
    if len(names) > MAX_POINTS:
        raise UserError(f"has {len(names)} kinds of points, at most {MAX_POINTS} are read")
    if len(set(names)) < len(names):
        raise UserError("gives two points the same name")
    return tuple(names)


def make_picture(
    triples: np.ndarray,
    box: np.ndarray | None = None,
    yaw: float | None = None,
    size: tuple[float, float] | None = None,
) -> AnnotatedPicture:
    """From (P, 3) x, y, visibility. Without a box, the tight box of the points."""
    finite = np.isfinite(triples).all(axis=1)
    visibility = np.where(finite, np.clip(np.where(finite, triples[:, 2], 0), 0, 2), 0).astype(np.uint8)
    xy = np.where(visibility[:, None] > 0, triples[:, :2], np.nan)
    if box is None or not np.isfinite(box).all() or (box[2:] <= 0).any():
        box = np.full(4, np.nan)
        if (visibility > 0).any():
            low, high = np.nanmin(xy, axis=0), np.nanmax(xy, axis=0)
            if (high > low).all():
                box = np.concatenate([low, high - low])
    return AnnotatedPicture(xy, visibility, box, yaw, size)
