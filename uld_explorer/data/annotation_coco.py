"""Reads COCO keypoints: `images`, `annotations` and `categories` with `keypoints`.

An optional number `yaw` in an annotation or an image is the head's turn in degrees. Coordinates are taken as written,
in the frame of `uld_explorer.types`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

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


def read_coco(path: Path) -> AnnotationTable:
    """The table of a COCO file. Raises UserError with half a sentence for what is not in the format."""
    document = _coco_document(path)
    category, names = _coco_category(document)
    images = {entry.get("id"): entry for entry in document["images"]}
    chosen: dict[Any, tuple[tuple[bool, float], dict[str, Any]]] = {}
    for annotation in document["annotations"]:
        if annotation.get("category_id", category) != category or annotation.get("iscrowd"):
            continue
        rank = _coco_rank(annotation, len(names))
        image = annotation.get("image_id")
        if image in images and (image not in chosen or rank > chosen[image][0]):
            chosen[image] = rank, annotation
    pictures = {}
    for key, image in images.items():
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            raise UserError("has an image without a file_name")
        pictures[name] = _coco_picture(image, chosen[key][1] if key in chosen else {}, len(names))
    return AnnotationTable(names, pictures)


def _coco_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError("is not JSON, or was cut short") from error
    for key in ("categories", "images", "annotations"):
        rows = document.get(key) if isinstance(document, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(f"has no list of {key}, so it is not in COCO's keypoint format")
        for row in rows:
            if any(isinstance(row.get(field), (list, dict)) for field in ("id", "image_id", "category_id")):
                raise UserError(f"has an id in its {key} that is neither a number nor a text")
    if not document["categories"]:
        raise UserError("has no categories, so its points have no names")
    return document


def _coco_category(document: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """The category with keypoints that most annotations are of, and the names of its points."""
    used = Counter(annotation.get("category_id") for annotation in document["annotations"])
    named = [category for category in document["categories"] if isinstance(category.get("keypoints"), list)]
    if not named:
        raise UserError("has no keypoints in its categories, so its points have no names")
    category = max(named, key=lambda category: used[category.get("id")])
    names = [str(name) for name in category["keypoints"]]
    if not names:
        raise UserError("has an empty list of keypoints in its categories")
    return category.get("id"), check_names(names)


def _coco_triples(annotation: dict[str, Any], points: int) -> np.ndarray:
    """(P, 3) x, y, visibility."""
    values = annotation.get("keypoints") or []
    which = f"the keypoints of annotation {annotation.get('id', '?')}"
    if not isinstance(values, list) or len(values) % 3:
        raise UserError(f"has a number of values that is not a multiple of 3 in {which}")
    if not values:
        return np.zeros((points, 3))
    if len(values) != 3 * points:
        raise UserError(f"has {len(values) // 3} points in {which}, but its category names {points}")
    return np.array([number(value, f"one of {which}") for value in values]).reshape(-1, 3)


def _coco_box(annotation: dict[str, Any]) -> np.ndarray | None:
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        return None
    return np.array([number(value, "a part of a bbox") for value in box])


def _coco_rank(annotation: dict[str, Any], points: int) -> tuple[bool, float]:
    """Of several annotations of one picture the largest is kept; one with points goes before one without."""
    picture = make_picture(_coco_triples(annotation, points), _coco_box(annotation))
    area = number(annotation.get("area"), "an area")
    if not math.isfinite(area):
        area = float(np.nan_to_num(picture.box[2] * picture.box[3]))
    return bool(picture.visibility.any()), area


def _coco_picture(image: dict[str, Any], annotation: dict[str, Any], points: int) -> AnnotatedPicture:
    yaw = number(annotation.get("yaw", image.get("yaw")), "a yaw")
    size = size_of(image.get("width"), image.get("height"))
    return make_picture(_coco_triples(annotation, points), _coco_box(annotation), optional(yaw), size)
