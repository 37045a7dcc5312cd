"""Regions of interest from boxes, and the square crops that the backbone sees. Knows geometry, not features.

A crop is the smallest square around the (turned, enlarged) box. "Crop units" run from (0, 0) at its top-left
corner to (1, 1); `crop_affines` maps them to pixels of the original picture.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from uld_explorer.data.images import load_rgb
from uld_explorer.types import ImageSet, Regions, UserError


def whole_regions(images: ImageSet) -> Regions:
    """Every picture, entirely."""
    corner = np.zeros((len(images), 2))
    return Regions(np.hstack([corner, images.sizes.astype(float)]), np.zeros(len(images)), None, "whole")


def box_regions(images: ImageSet, boxes: np.ndarray, margin: float, source: str) -> Regions:
    """Boxes (N, 4) x, y, w, h in pixels, enlarged about their centre by `margin` (0.2 = a fifth).

    NaN boxes become the whole picture.
    """
    whole = whole_regions(images).boxes
    center = boxes[:, :2] + boxes[:, 2:] / 2
    size = boxes[:, 2:] * (1 + margin)
    enlarged = np.hstack([center - size / 2, size])
    usable = np.isfinite(boxes).all(1) & (boxes[:, 2:] > 1).all(1)
    return Regions(np.where(usable[:, None], enlarged, whole), np.zeros(len(images)), None, source)


def annotation_regions(images: ImageSet, margin: float) -> Regions:
    """The annotated boxes.

    Raises:
        UserError: when the pictures have no annotations.
    """
    if images.annotations is None or not np.isfinite(images.annotations.boxes).all(1).any():
        raise UserError(
            f"The region 'annotations' needs annotated boxes, and {images.label} has none: "
            "give --annotations FILE, or choose the region 'whole' or 'foreground'."
        )
    return box_regions(images, images.annotations.boxes, margin, "annotations")


def file_regions(images: ImageSet, path: Path, margin: float) -> Regions:
    """Boxes from a CSV (image,x,y,width,height) or JSON ({"name": [x, y, width, height]}) file, by picture name.

    Raises:
        UserError: an unreadable file, or no box for any picture.
    """
    table = _read_boxes(path)
    short = {Path(name).name: box for name, box in table.items()}
    rows = [table.get(name, short.get(Path(name).name)) for name in images.names]
    if not any(row is not None for row in rows):
        raise UserError(f"No box in {path.name} belongs to any of the pictures, such as {images.names[0]}.")
    boxes = np.array([row if row is not None else [np.nan] * 4 for row in rows], dtype=float)
    return box_regions(images, boxes, margin, f"file {path.name}")


def _read_boxes(path: Path) -> dict[str, list[float]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return {str(name): _four(box) for name, box in json.loads(text).items()}
        rows = csv.DictReader(text.splitlines())
        return {row["image"]: _four([row[key] for key in ("x", "y", "width", "height")]) for row in rows}
    except FileNotFoundError:
        raise UserError(
            f"There is no region '{path}': use whole, annotations, foreground, or a file of boxes."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error):
        raise UserError(
            f"{path.name} is not a file of boxes: a CSV with the columns image,x,y,width,height, "
            "or a JSON object of name: [x, y, width, height]."
        ) from None


def _four(values: Sequence[str | float]) -> list[float]:
    x, y, width, height = values
    return [float(x), float(y), float(width), float(height)]


def jitter_regions(regions: Regions, amount: float, seed: int, ids: tuple[str, ...]) -> Regions:
    """Boxes with errors, as a detector would make them.

    Centre and log-size are off by `amount`, the angle by `amount` radians (standard deviations).
    Seeded per picture, so that a picture's error does not depend on its neighbours. A box made from the annotation
    leaks the answer; evaluation protocols record this amount.
    """
    if amount == 0:
        return regions
    errors = np.stack([np.random.default_rng([seed, *id_words(name)]).normal(0, amount, 4) for name in ids])
    size = regions.boxes[:, 2:] * np.exp(errors[:, 2:3])
    center = regions.boxes[:, :2] + regions.boxes[:, 2:] * (0.5 + errors[:, :2])
    angles = regions.angles + np.degrees(errors[:, 3])
    return Regions(np.hstack([center - size / 2, size]), angles, regions.masks, f"{regions.source} jitter {amount:g}")


def id_words(name: str) -> list[int]:
    """A picture's id as whole numbers, to seed what is random about that picture."""
    raw = name.encode().ljust(8, b"\0")
    return [int.from_bytes(raw[i : i + 4], "little") for i in range(0, len(raw), 4)]


def crop_affines(regions: Regions, context: float = 0.0) -> np.ndarray:
    """(N, 2, 3): crop units -> pixels of the original picture, for the square crop around each region.

    context: share by which the crop is wider than the region's longer side, for the network to see its surroundings.
    """
    side = regions.boxes[:, 2:].max(1) * (1 + context)
    center = regions.boxes[:, :2] + regions.boxes[:, 2:] / 2
    angle = np.radians(regions.angles)
    linear = side[:, None, None] * np.stack(
        [np.stack([np.cos(angle), -np.sin(angle)], -1), np.stack([np.sin(angle), np.cos(angle)], -1)], 1
    )
    corner = center - linear @ np.full(2, 0.5)
    return np.concatenate([linear, corner[..., None]], -1)


def region_cells(regions: Regions, cells: int, context: float = 0.0) -> np.ndarray:
    """(N, cells, cells) bool: the cells of the square crop (see `crop_affines`) whose centre lies in the region.

    That is the box, and the mask where there is one.
    """
    share = regions.boxes[:, 2:] / regions.boxes[:, 2:].max(1, keepdims=True)
    # Offsets from the centre in units of the region's longer side, in which masks are given, too.
    place = ((np.arange(cells) + 0.5) / cells - 0.5) * (1 + context)
    offset = np.abs(place)
    inside = (offset[None, None, :] <= share[:, 0, None, None] / 2) & (
        offset[None, :, None] <= share[:, 1, None, None] / 2
    )
    if regions.masks is None:
        return inside
    rows = np.clip(((place + 0.5) * regions.masks.shape[1]).astype(int), 0, regions.masks.shape[1] - 1)
    masked = inside & regions.masks[:, rows][:, :, rows]
    # A mask that leaves nothing would silence a picture; the box is then the better guess.
    return np.where(masked.any((1, 2), keepdims=True), masked, inside)


def read_crop(path: Path, affine: np.ndarray, size: int) -> np.ndarray:
    """The crop (size, size, 3) uint8 of one picture; outside the picture its edge pixels are repeated.

    affine is one row of `crop_affines`. Big pictures are first reduced by a whole factor, so that no pixel is skipped.
    """
    picture = Image.fromarray(load_rgb(path))
    side = np.linalg.norm(affine[:, 0])
    factor = max(1, int(side / size))
    if factor > 1:
        picture = picture.reduce(factor)
    shrink = affine / factor
    reach = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]) @ shrink.T
    low, high = np.floor(reach.min(0)).astype(int) - 2, np.ceil(reach.max(0)).astype(int) + 2
    columns, rows = (np.clip(np.arange(low[i], high[i]), 0, length - 1) for i, length in enumerate(picture.size))
    picture = Image.fromarray(np.asarray(picture)[rows[:, None], columns])
    a, b = shrink[:, :2] / size, shrink[:, 2] - low
    data = (a[0, 0], a[0, 1], b[0], a[1, 0], a[1, 1], b[1])
    return np.asarray(picture.transform((size, size), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC))


def view_regions(regions: Regions, transform: np.ndarray) -> Regions:
    """The regions through which a transformed picture is seen: cropping x there is cropping A(x) at the old place.

    transform (N, 2, 3): similarities A on pixels of the original pictures. Used to measure consistency without
    warping a picture twice.
    """
    linear = np.linalg.inv(transform[:, :, :2])
    center = regions.boxes[:, :2] + regions.boxes[:, 2:] / 2
    moved = np.einsum("nij,nj->ni", linear, center - transform[:, :, 2])
    scale = np.sqrt(np.abs(np.linalg.det(linear)))
    size = regions.boxes[:, 2:] * scale[:, None]
    angles = regions.angles + np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    moved_regions = Regions(np.hstack([moved - size / 2, size]), angles, None, f"{regions.source} transformed")
    if regions.masks is None:
        return moved_regions
    masks = _resample_masks(regions, moved_regions)
    return Regions(moved_regions.boxes, angles, masks, moved_regions.source)


def _resample_masks(old: Regions, new: Regions) -> np.ndarray:
    assert old.masks is not None
    cells = old.masks.shape[1]
    grid = (np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1).reshape(-1, 2) + 0.5) / cells
    before, after = crop_affines(old), crop_affines(new)
    masks = np.zeros_like(old.masks)
    for row in range(len(old)):
        pixels = grid @ after[row, :, :2].T + after[row, :, 2]
        units = (pixels - before[row, :, 2]) @ np.linalg.inv(before[row, :, :2]).T
        cell = np.floor(units * cells).astype(int)
        inside = ((cell >= 0) & (cell < cells)).all(1)
        cell = np.clip(cell, 0, cells - 1)
        masks[row] = (inside & old.masks[row][cell[:, 1], cell[:, 0]]).reshape(cells, cells)
    return masks
