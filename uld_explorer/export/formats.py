"""The export formats: one entry is one file in this folder and one choice on the command line and in the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uld_explorer.export import coco, table
from uld_explorer.types import ImageSet, Landmarks, Regions, UserError


@dataclass(frozen=True)
class Format:
    """write(path, images, landmarks, regions) makes one file."""

    name: str
    title: str
    suffix: str
    write: Callable[[Path, ImageSet, Landmarks, Regions | None], None]


FORMATS = {
    "coco": Format("coco", "COCO keypoints (JSON)", ".coco.json", coco.write_coco),
    "csv": Format("csv", "Table (CSV)", ".csv", table.write_csv),
}


def get_format(name: str) -> Format:
    """The format called `name`.

    Raises:
        UserError: there is none.
    """
    if name not in FORMATS:
        raise UserError(f"There is no export format '{name}': use {', '.join(FORMATS)}.")
    return FORMATS[name]
