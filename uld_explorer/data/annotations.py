"""Reads annotated points from files and joins them to pictures by name. Does not open any picture.

A format is one file (`annotation_coco`, `annotation_csv`) and one entry in `READERS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from uld_explorer.data.annotation_coco import read_coco
from uld_explorer.data.annotation_csv import read_csv
from uld_explorer.data.annotation_table import AnnotatedPicture, AnnotationTable
from uld_explorer.types import Annotations, ImageSet, UserError

_FILE_PATTERNS = ("annotations.coco.json", "annotations.json", "*.coco.json", "annotations.csv", "*keypoints*.json")


@dataclass(frozen=True)
class Reader:
    """How to tell a format, and how to read it. `read` raises UserError with half a sentence: "has no ..."."""

    matches: Callable[[Path], bool]
    read: Callable[[Path], AnnotationTable]


# Asked in this order; a format with a narrower test belongs before a wider one.
READERS: dict[str, Reader] = {
    "COCO keypoints (.json)": Reader(lambda path: path.suffix.lower() == ".json", read_coco),
    "CSV (.csv)": Reader(lambda path: path.suffix.lower() == ".csv", read_csv),
}


def read_annotations(path: Path, name: str = "") -> AnnotationTable:
    """Read an annotation file with the first reader that matches it.

    name  what its owner calls the file, if not the name it is stored under

    Raises UserError that names the file and what is wrong with it.
    """
    subject = f"The annotation file {name or path.name}"
    reader = next((reader for reader in READERS.values() if reader.matches(path)), None)
    if reader is None:
        raise UserError(f"{subject} is of an unknown kind; known are: {', '.join(READERS)}.")
    try:
        return reader.read(path)
    except UserError as error:
        raise UserError(f"{subject} {error}.") from error
    except OSError as error:
        raise UserError(f"{subject} cannot be opened ({error.strerror or error}).") from error


def find_annotations(folder: Path) -> Path | None:
    """The obvious annotation file in a folder of pictures, or beside it if the folder is called `images`."""
    places = [folder, folder.absolute().parent] if folder.absolute().name.lower() == "images" else [folder]
    for place in places:
        files = sorted(path for path in place.iterdir() if path.is_file()) if place.is_dir() else []
        if found := pick_annotations([(path, path.name) for path in files]):
            return found
    return None


def pick_annotations(files: Sequence[tuple[Path, str]]) -> Path | None:
    """Of files with their display names, as unpacked from an archive, the one that is called like annotations."""
    ordered = sorted(files, key=lambda file: (file[1].count("/"), file[1]))
    for pattern in _FILE_PATTERNS:
        for path, name in ordered:
            base = _base(name).lower()
            if fnmatch(base, pattern) and not base.startswith("."):
                return path
    return None


def attach(images: ImageSet, table: AnnotationTable) -> ImageSet:
    """The same pictures with the table's annotations; NaN and 0 for pictures the table does not know.

    Pictures are matched by their full name, then by the last part of it where that is unique on both sides. Points
    are scaled where the table gives a size other than the picture's. Raises UserError if no picture matches, and if
    sizes show that points refer to a picture lying on its side.
    """
    rows = _match(images.names, table)
    count, points = len(images), len(table.names)
    xy = np.full((count, points, 2), np.nan)
    visibility = np.zeros((count, points), np.uint8)
    boxes = np.full((count, 4), np.nan)
    yaw = np.full(count, np.nan)
    for i, picture in rows.items():
        scale = _scale(picture.size, images.sizes[i], images.names[i])
        xy[i], visibility[i] = picture.xy * scale, picture.visibility
        boxes[i] = picture.box * np.tile(scale, 2)
        yaw[i] = np.nan if picture.yaw is None else picture.yaw
    known_yaw = None if np.isnan(yaw).all() else yaw
    return replace(
        images, annotations=Annotations(xy, visibility, boxes, table.names, known_yaw, eye_corners(table.names))
    )


def eye_corners(names: Sequence[str]) -> tuple[int, int] | None:
    """The two points whose distance is the inter-ocular distance, by their names or by a customary number of points.

    In order: points named like `left_eye_outer` and `right_eye_outer`; of 68 points (iBUG) 36 and 45; the only points
    named like `left_eye` and `right_eye`; of 5 points the first two. None for anything else.
    """
    if outer := _named_pair(names, "outer"):
        return outer
    if len(names) == 68:
        return 36, 45
    return _named_pair(names, "") or ((0, 1) if len(names) == 5 else None)


def _named_pair(names: Sequence[str], word: str) -> tuple[int, int] | None:
    def index_of(side: str) -> int | None:
        lower = [name.lower() for name in names]
        found = [i for i, n in enumerate(lower) if side in n and "eye" in n and word in n and "brow" not in n]
        return found[0] if len(found) == 1 else None

    left, right = index_of("left"), index_of("right")
    return None if left is None or right is None else (left, right)


# --- joining ----------------------------------------------------------------------------------------------------


def _match(names: Sequence[str], table: AnnotationTable) -> dict[int, AnnotatedPicture]:
    """Row of the picture -> its annotations."""
    known = {_plain(name): picture for name, picture in table.pictures.items()}
    by_base = {_base(name): picture for name, picture in known.items()}
    seen_there = Counter(_base(name) for name in known)
    seen_here = Counter(_base(name) for name in names)
    rows = {}
    for i, name in enumerate(names):
        base = _base(name)
        if name in known:
            rows[i] = known[name]
        elif seen_there[base] == 1 and seen_here[base] == 1:
            rows[i] = by_base[base]
    if not rows:
        raise UserError(
            f"No picture is named in the annotations: the pictures are called {_examples(names)}, "
            f"the annotations speak of {_examples(known)}."
        )
    return rows


def _scale(size: tuple[float, float] | None, actual: np.ndarray, name: str) -> np.ndarray:
    """(2,) factors from the annotated picture to the actual one."""
    if size is None:
        return np.ones(2)
    width, height = int(actual[0]), int(actual[1])
    if size == (height, width) and width != height:
        raise UserError(
            f"The annotations take {name} for {size[0]:.0f} × {size[1]:.0f} px, but upright it has {width} × {height}: "
            "they were made while the picture lay on its side; export them again from upright pictures."
        )
    return np.array([width / size[0], height / size[1]])


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./").lstrip("/")


def _base(name: str) -> str:
    return _plain(name).rsplit("/", 1)[-1]


def _examples(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:2]) + (" …" if len(listed) > 2 else "") if listed else "none"
