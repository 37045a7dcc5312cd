"""From feature maps to one descriptor a cell (Eq. 2), without any training.

Paper is silent: before any training the mixing weights and bottlenecks of Eq. 2 are undefined, and published ones
were learned from keypoint labels. Here every layer is centred (mean over the training pictures), brought to one
grid, set to unit length at each cell, and concatenated with equal weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uld_explorer.features.store import FeatureMaps

if TYPE_CHECKING:
    import torch

EPSILON = 1e-6


@dataclass(frozen=True)
class Centering:
    """means: layer name -> (C,) float32, subtracted before a layer is set to unit length."""

    means: dict[str, np.ndarray]


def fit_centering(maps: FeatureMaps, sample: int = 512) -> Centering:
    """Channel means over at most `sample` pictures, evenly spread."""
    rows = np.unique(np.linspace(0, len(maps) - 1, min(sample, len(maps))).astype(int))
    means = {name: np.asarray(values[rows], np.float32).mean((0, 2, 3)) for name, values in maps.layers.items()}
    return Centering(means)


def describe(maps: FeatureMaps, rows: Sequence[int] | np.ndarray, centering: Centering, cells: int) -> torch.Tensor:
    """Descriptors (B, D, cells, cells) float32 of unit length at every cell, for the pictures in `rows`."""
    import torch

    parts = []
    for name, mean in centering.means.items():
        layer = torch.from_numpy(np.asarray(maps.layers[name][rows], np.float32))
        layer = layer - torch.from_numpy(mean)[None, :, None, None]
        layer = resample(layer, cells)
        parts.append(layer / layer.norm(dim=1, keepdim=True).clamp(min=EPSILON))
    return torch.cat(parts, 1) / len(parts) ** 0.5


def resample(layer: torch.Tensor, cells: int) -> torch.Tensor:
    """(B, C, h, w) -> (B, C, cells, cells): bilinear to a finer grid, area means to a coarser one."""
    import torch.nn.functional as F  # noqa: N812

    if layer.shape[-1] == cells:
        return layer
    if layer.shape[-1] > cells:
        return F.adaptive_avg_pool2d(layer, cells)
    return F.interpolate(layer, size=(cells, cells), mode="bilinear", align_corners=False)


def cell_positions(cells: int) -> np.ndarray:
    """(cells * cells, 2): centres in crop units, row by row."""
    centers = (np.arange(cells) + 0.5) / cells
    x, y = np.meshgrid(centers, centers)
    return np.stack([x.ravel(), y.ravel()], 1)


def to_pixels(positions: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Crop units (..., 2) -> pixels of the original picture, by one row of `crop_affines`."""
    return positions @ affine[:, :2].T + affine[:, 2]
