"""What the readers of published data sets have in common: a part of a set, and finding its files in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uld_explorer.data.annotation_table import AnnotatedPicture, AnnotationTable, make_picture
from uld_explorer.types import UserError


@dataclass(frozen=True)
class Part:
    """The pictures of one part (training or test) and their annotations, by paths below `root`."""

    root: Path
    names: tuple[str, ...]
    table: AnnotationTable

    def take(self, count: int | None) -> Part:
        """At most `count` of the pictures, evenly spread over the list; all where None."""
        if count is None or count >= len(self.names):
            return self
        rows = np.unique(np.linspace(0, len(self.names) - 1, count).astype(int))
        return Part(self.root, tuple(self.names[i] for i in rows), self.table)


def find(root: Path, choices: Sequence[str], what: str) -> Path:
    """The first of the paths below `root` that is there.

    Raises:
        UserError: none of them.
    """
    for choice in choices:
        if (root / choice).exists():
            return root / choice
    listed = " or ".join(choices)
    raise UserError(f"{root} has no {what}: expected {listed}.")


def lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def points(xy: np.ndarray, yaw: float | None = None) -> AnnotatedPicture:
    """A picture whose P points (P, 2) in pixels are all annotated and visible, with their tight box."""
    return make_picture(np.column_stack([xy, np.full(len(xy), 2.0)]), None, yaw)


def present(root: Path, folder: Path, names: Sequence[str], what: str) -> tuple[str, ...]:
    """Paths below `root` of those named files that are in the folder.

    Raises:
        UserError: none is.
    """
    found = tuple((folder / name).relative_to(root).as_posix() for name in names if (folder / name).is_file())
    if not found:
        raise UserError(f"None of the {len(names)} {what} pictures is in {folder}.")
    return found
