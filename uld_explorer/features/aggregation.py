"""From feature maps to one descriptor a cell (Eq. 2), without any training.

Paper is silent: before any training the mixing weights and bottlenecks of Eq. 2 are undefined, and published ones
were learned from keypoint labels. Here every layer is centred, projected on its principal components and whitened
(both fitted on the pictures at hand), brought to one grid, set to unit length at each cell, and concatenated with
equal weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from uld_explorer.features.store import FeatureMaps

EPSILON = 1e-6


@dataclass(frozen=True)
class Aggregation:
    """How layers become descriptors, fitted without labels.

    means        layer name -> (C,) float32, subtracted first
    projections  layer name -> (C, d) float32, principal axes divided by a power of their standard deviation
    """

    means: dict[str, np.ndarray]
    projections: dict[str, np.ndarray]

    @property
    def fingerprint(self) -> str:
        """16 hex digits over all numbers."""
        digest = hashlib.sha256()
        for name, values in sorted(self.to_tensors().items()):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:16]

    def project(self, name: str, layer: torch.Tensor) -> torch.Tensor:
        """Maps (B, C, h, w) of a layer on its axes: (B, d, h, w) float32."""
        import torch

        centred = layer.float() - torch.from_numpy(self.means[name]).to(layer.device)[None, :, None, None]
        axes = torch.from_numpy(self.projections[name]).to(layer.device)
        return torch.einsum("bchw,cd->bdhw", centred, axes)

    def to_tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a safetensors file."""
        means = {f"mean.{name}": value for name, value in self.means.items()}
        return means | {f"projection.{name}": value for name, value in self.projections.items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> Aggregation:
        """The inverse of `to_tensors`; other names are passed over."""
        means = {name[5:]: value for name, value in tensors.items() if name.startswith("mean.")}
        projections = {name[11:]: value for name, value in tensors.items() if name.startswith("projection.")}
        return cls(means, projections)


def fit_aggregation(maps: FeatureMaps, components: int = 64, whitening: float = 1.0, sample: int = 256) -> Aggregation:
    """Means and principal axes of every layer, over at most `sample` pictures, evenly spread.

    components  axes kept per layer, at most C
    whitening   0 leaves the axes as they are, 1 gives each the same variance
    """
    rows = np.unique(np.linspace(0, len(maps) - 1, min(sample, len(maps))).astype(int))
    means, projections = {}, {}
    for name, values in maps.layers.items():
        cells = np.moveaxis(np.asarray(values[rows], np.float32), 1, -1).reshape(-1, values.shape[1])
        means[name] = cells.mean(0)
        projections[name] = _principal_axes(cells - means[name], components, whitening)
    return Aggregation(means, projections)


def _principal_axes(centred: np.ndarray, components: int, whitening: float) -> np.ndarray:
    """(C, d): the leading eigenvectors of the covariance, each divided by its standard deviation to the power."""
    variance, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred / len(centred))
    order = np.argsort(-variance)[:components]
    deviation = np.sqrt(np.maximum(variance[order], 0))
    # Directions without variance carry nothing but rounding errors, which whitening would blow up.
    scale = np.where(deviation > 1e-4 * deviation[0], np.maximum(deviation, EPSILON) ** -whitening, 0)
    return (axes[:, order] * scale).astype(np.float32)


def describe(maps: FeatureMaps, rows: Sequence[int] | np.ndarray, aggregation: Aggregation, cells: int) -> torch.Tensor:
    """Descriptors (B, D, cells, cells) float32 of unit length at every cell, for the pictures in `rows`."""
    import torch

    parts = []
    for name in aggregation.means:
        layer = torch.from_numpy(np.asarray(maps.layers[name][rows], np.float32))
        layer = resample(aggregation.project(name, layer), cells)
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
