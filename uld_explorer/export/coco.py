"""COCO keypoints: what most annotation tools read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from uld_explorer.types import ImageSet, Landmarks, Regions


def coco_document(images: ImageSet, landmarks: Landmarks, regions: Regions | None) -> dict:
    """A COCO keypoints document: one annotation a picture, visibility 2 where found, 1 where placed unseen, 0 where
    missing.

    The box is the region of interest, clipped to the picture; the tight box of the points where there is none.
    `scores` (0...1, cosine similarity) is an extra field that readers ignore.
    """
    names = list(landmarks.titles)
    category = {"id": 1, "name": "object", "supercategory": "object", "keypoints": names, "skeleton": []}
    pictures, annotations = [], []
    for row, name in enumerate(images.names):
        width, height = (int(v) for v in images.sizes[row])
        pictures.append({"id": row + 1, "file_name": name, "width": width, "height": height})
        annotations.append(_annotation(row, landmarks, _box(row, images, landmarks, regions)))
    info = {"description": f"Discovered landmarks on {images.label}, not annotated by people", "version": "1.0"}
    return {"info": info, "images": pictures, "annotations": annotations, "categories": [category]}


def _annotation(row: int, landmarks: Landmarks, box: list[float]) -> dict:
    present = landmarks.present[row]
    xy = np.where(present[:, None], landmarks.xy[row], 0.0)
    triples = np.column_stack([xy.round(2), np.where(landmarks.seen[row], 2, np.where(present, 1, 0))])
    return {
        "id": row + 1,
        "image_id": row + 1,
        "category_id": 1,
        "keypoints": triples.ravel().tolist(),
        "num_keypoints": int(present.sum()),
        "scores": [round(float(s), 4) for s in landmarks.score[row]],
        "bbox": box,
        "area": round(box[2] * box[3], 2),
        "iscrowd": 0,
    }


def _box(row: int, images: ImageSet, landmarks: Landmarks, regions: Regions | None) -> list[float]:
    size = images.sizes[row].astype(float)
    points = landmarks.xy[row][landmarks.present[row]]
    if regions is not None:
        low, high = regions.boxes[row, :2], regions.boxes[row, :2] + regions.boxes[row, 2:]
    elif len(points):
        low, high = points.min(0), points.max(0)
    else:
        low, high = np.zeros(2), size
    low, high = np.clip(low, 0, size), np.clip(high, 0, size)
    return [round(float(v), 2) for v in (*low, *(high - low))]


def write_coco(path: Path, images: ImageSet, landmarks: Landmarks, regions: Regions | None = None) -> None:
    """Write `coco_document` as JSON."""
    path.write_text(json.dumps(coco_document(images, landmarks, regions)) + "\n", encoding="utf-8")
