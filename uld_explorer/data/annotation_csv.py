"""Reads CSV tables of points (comma, semicolon or tab), told apart by the header.

long   image,point,x,y[,visibility]        one row a point
wide   image,NAME_x,NAME_y[,NAME_v],...    one row a picture

Both may have the columns width and height (the picture's size the points refer to) and yaw. A point with an empty or
absent cell is not annotated; visibility follows COCO (0 not annotated, 1 hidden, 2 visible) and is 2 where not given.
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np

from uld_explorer.data.annotation_table import (
    AnnotatedPicture,
    AnnotationTable,
    check_names,
    make_picture,
    number,
    optional,
    read_text,
    size_of,
)
from uld_explorer.types import UserError

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet's formula may start."""


def read_csv(path: Path) -> AnnotationTable:
    """The table of a CSV file. Raises UserError with half a sentence for what is not in the format."""
    text = read_text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        table = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
        header = [column.strip() for column in table.fieldnames or []]
        table.fieldnames = header
        rows = [row | {"image": _name(row.get("image"))} for row in table]
    except csv.Error as error:
        raise UserError(f"is not a table: {error}") from error
    if "image" not in header:
        raise UserError("has no column called image in its first line")
    if any(not row["image"] for row in rows):
        raise UserError("has a row without the name of an image")
    if {"point", "x", "y"} <= set(header):
        return _csv_long(rows)
    names = [c.removesuffix("_x") for c in header if c.endswith("_x") and f"{c.removesuffix('_x')}_y" in header]
    if not names:
        raise UserError("has neither the columns image, point, x, y nor image, NAME_x, NAME_y in its first line")
    return _csv_wide(rows, check_names(names))


def _name(text: str | None) -> str:
    """The picture's name without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    name = text or ""
    return name[1:] if name.startswith("'") and name.lstrip("'").startswith(FORMULA_STARTS) else name


def _csv_triple(row: dict[str, str], x: str, y: str, visibility: str) -> tuple[float, float, float]:
    seen = number(row.get(visibility), "a visibility")
    where = f"a position in {row['image']}"
    return number(row[x], where), number(row[y], where), 2.0 if math.isnan(seen) else seen


def _csv_extras(row: dict[str, str]) -> tuple[float | None, tuple[float, float] | None]:
    return optional(number(row.get("yaw"), "a yaw")), size_of(row.get("width"), row.get("height"))


def _csv_long(rows: list[dict[str, str]]) -> AnnotationTable:
    if not all(row["point"] for row in rows):
        raise UserError("has a row without the name of a point")
    names = check_names(list(dict.fromkeys(row["point"] for row in rows)))
    index = {name: i for i, name in enumerate(names)}
    triples: dict[str, dict[int, tuple[float, float, float]]] = {}
    extras: dict[str, tuple[float | None, tuple[float, float] | None]] = {}
    for row in rows:
        points = triples.setdefault(row["image"], {})
        if index[row["point"]] in points:
            raise UserError(f"gives the point {row['point']} of {row['image']} twice")
        points[index[row["point"]]] = _csv_triple(row, "x", "y", "visibility")
        extras.setdefault(row["image"], _csv_extras(row))
    pictures = {}
    for image, points in triples.items():
        dense = np.zeros((len(names), 3))
        dense[list(points)] = list(points.values())
        yaw, size = extras[image]
        pictures[image] = make_picture(dense, yaw=yaw, size=size)
    return AnnotationTable(names, pictures)


def _csv_wide(rows: list[dict[str, str]], names: tuple[str, ...]) -> AnnotationTable:
    pictures: dict[str, AnnotatedPicture] = {}
    for row in rows:
        triples = np.array([_csv_triple(row, f"{name}_x", f"{name}_y", f"{name}_v") for name in names])
        yaw, size = _csv_extras(row)
        picture = make_picture(triples, yaw=yaw, size=size)
        if row["image"] not in pictures or _area(picture) > _area(pictures[row["image"]]):
            pictures[row["image"]] = picture
    return AnnotationTable(names, pictures)


def _area(picture: AnnotatedPicture) -> float:
    return float(np.nan_to_num(picture.box[2] * picture.box[3]))
