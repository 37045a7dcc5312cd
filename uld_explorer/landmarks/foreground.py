"""A foreground from the diffusion features themselves, where there are no boxes.

Method: descriptors of the whole pictures are clustered into a few parts; a part is foreground when it is found more
often in the middle of the pictures than along their frames; a picture's mask is the largest connected patch of
foreground cells. It assumes what holds for pictures of one kind of thing: the thing is usually not at the edge.
Differs from paper: there regions come from a supervised detector (Detectron2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from uld_explorer.data.regions import whole_regions
from uld_explorer.events import Stage, progress
from uld_explorer.features.aggregation import Aggregation, cell_positions, describe, fit_aggregation, to_pixels
from uld_explorer.features.backbone import Backbone
from uld_explorer.features.store import FeatureMaps, iter_extract
from uld_explorer.landmarks.clustering import assign, kmeans
from uld_explorer.types import ImageSet, Regions

CELLS = 32
PARTS = 12
SAMPLE = 64
"""Cells drawn from each picture to find the parts."""


@dataclass(frozen=True)
class Foreground:
    """centroids (PARTS, D) unit float32; weight (PARTS,) log-odds of being foreground; aggregation of the layers."""

    centroids: np.ndarray
    weight: np.ndarray
    aggregation: Aggregation

    def to_tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a safetensors file."""
        return {"centroids": self.centroids, "weight": self.weight} | self.aggregation.to_tensors()

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> Foreground:
        """The inverse of `to_tensors`."""
        return cls(tensors["centroids"], tensors["weight"], Aggregation.from_tensors(tensors))


def iter_fit_foreground(maps: FeatureMaps, seed: int) -> Stage[Foreground]:
    """Learn which parts are foreground from maps of whole pictures."""
    aggregation = fit_aggregation(maps)
    rng = np.random.default_rng(seed)
    cells, where = [], []
    for row in range(len(maps)):
        if row % 32 == 0:
            yield progress("finding the foreground", row, len(maps))
        chosen = rng.choice(CELLS**2, SAMPLE, replace=False)
        cells.append(describe(maps, [row], aggregation, CELLS)[0].flatten(1).T.numpy()[chosen])
        where.append(cell_positions(CELLS)[chosen])
    x, position = np.concatenate(cells), np.concatenate(where)
    centroids = kmeans(x, min(PARTS, len(x)), seed=seed, iterations=30, restarts=3)
    label, _ = assign(x, centroids)
    return Foreground(centroids, _log_odds(label, position, len(centroids)), aggregation)


def _log_odds(label: np.ndarray, position: np.ndarray, parts: int) -> np.ndarray:
    """How much more often each part lies in the middle than along the frame, (parts,)."""
    offset = np.abs(position - 0.5).max(1)
    middle = np.bincount(label[offset < 0.25], minlength=parts) + 1.0
    frame = np.bincount(label[offset > 0.44], minlength=parts) + 1.0
    return np.log(middle / middle.sum()) - np.log(frame / frame.sum())


def foreground_mask(foreground: Foreground, descriptors: np.ndarray) -> np.ndarray:
    """(CELLS, CELLS) bool for the descriptors (CELLS * CELLS, D) of one whole picture."""
    similarity = descriptors @ foreground.centroids.T
    share = np.exp((similarity - similarity.max(1, keepdims=True)) * 20)
    odds = (share @ foreground.weight / share.sum(1)).reshape(CELLS, CELLS)
    mask = ndimage.gaussian_filter(odds, 1.0) > 0
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.ones((CELLS, CELLS), bool)
    sizes = ndimage.sum_labels(mask, labels, range(1, count + 1))
    return ndimage.binary_fill_holes(labels == 1 + int(np.argmax(sizes)))


def iter_foreground_regions(
    images: ImageSet, backbone: Backbone, *, seed: int, batch: int, margin: float, fitted: Foreground | None = None
) -> Stage[tuple[Regions, Foreground]]:
    """Boxes and masks around the foreground of every picture; `fitted` is reused on new pictures."""
    whole = whole_regions(images)
    maps = yield from iter_extract(images, whole, backbone, seed=seed, batch=batch)
    foreground = fitted or (yield from iter_fit_foreground(maps, seed))
    boxes, masks = [], []
    for row in range(len(images)):
        if row % 16 == 0:
            yield progress("outlining the foreground", row, len(images))
        descriptors = describe(maps, [row], foreground.aggregation, CELLS)[0].flatten(1).T.numpy()
        mask = foreground_mask(foreground, descriptors)
        box = _mask_box(mask, maps.affines[row], margin)
        boxes.append(box)
        masks.append(_mask_in_crop(mask, maps.affines[row], box))
    return Regions(np.stack(boxes), np.zeros(len(images)), np.stack(masks), "foreground"), foreground


def _mask_box(mask: np.ndarray, affine: np.ndarray, margin: float) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    low = to_pixels(np.array([columns[0], rows[0]]) / CELLS, affine)
    high = to_pixels(np.array([columns[-1] + 1, rows[-1] + 1]) / CELLS, affine)
    size = (high - low) * (1 + margin)
    return np.hstack([(low + high) / 2 - size / 2, size])


def _mask_in_crop(mask: np.ndarray, affine: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The mask of the whole picture, looked up on the grid of the square crop around `box`."""
    side = box[2:].max()
    corner = box[:2] + box[2:] / 2 - side / 2
    pixels = corner + cell_positions(CELLS) * side
    units = (pixels - affine[:, 2]) / affine[0, 0]
    cell = np.floor(units * CELLS).astype(int)
    inside = ((cell >= 0) & (cell < CELLS)).all(1)
    cell = np.clip(cell, 0, CELLS - 1)
    return (inside & mask[cell[:, 1], cell[:, 0]]).reshape(CELLS, CELLS)
