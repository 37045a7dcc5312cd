"""From heat maps to keypoints: peaks, their descriptors, and which cluster each one stands for. Arrays only."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from uld_explorer.landmarks.losses import cell_centers, sample_map


def find_peaks(heat: Tensor, count: int, window: int, threshold: float) -> tuple[Tensor, Tensor]:
    """The `count` highest local maxima of heat maps: points (B, count, 2) in crop units, heights (B, count).

    heat       (B, cells, cells) in 0...1, 0 where no peak may be
    window     cells around a peak, in each direction, in which it must be the highest
    threshold  peaks below it have height 0 in the answer, as do those that are missing

    Points lie between cells, at the top of a parabola through each peak and its neighbours.
    """
    cells = heat.shape[-1]
    highest = F.max_pool2d(heat[:, None], 2 * window + 1, 1, window)[:, 0]
    peaks = torch.where((heat == highest) & (heat >= threshold), heat, torch.zeros_like(heat))
    height, index = peaks.flatten(1).topk(min(count, cells * cells), 1)
    points = cell_centers(cells).to(heat)[index] + _offsets(heat, index) / cells
    return points, height


def _offsets(heat: Tensor, index: Tensor) -> Tensor:
    """(B, M, 2) in cells, each at most half of one, for flat cell numbers (B, M)."""
    padded = F.pad(heat[:, None], (1, 1, 1, 1), mode="replicate")[:, 0].flatten(1)
    side = heat.shape[-1] + 2
    middle = (index // heat.shape[-1] + 1) * side + index % heat.shape[-1] + 1
    offsets = []
    for step in (1, side):
        low, here, high = (padded.gather(1, middle + d) for d in (-step, 0, step))
        bend = 2 * here - low - high
        offsets.append(torch.where(bend > 1e-6, (high - low) / (2 * bend.clamp(min=1e-6)), torch.zeros_like(bend)))
    return torch.stack(offsets, -1).clamp(-0.5, 0.5)


def describe_points(volume: Tensor, points: Tensor) -> Tensor:
    """(B, M, D) unit descriptors of points (B, M, 2) in crop units, read from a descriptor volume (B, D, h, w)."""
    return F.normalize(sample_map(volume, points), dim=-1)


def best_of_cluster(similarity: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Exemplar assignment (paper 3.1): per picture and cluster the keypoint that is nearest to the centroid.

    similarity (N, M, K) of keypoints to centroids, usable (N, M) bool. A keypoint belongs to its nearest cluster only.
    Returns (N, K) int64 keypoint numbers, -1 where a cluster has none.
    """
    nearest = similarity.argmax(2)
    own = nearest[..., None] == np.arange(similarity.shape[2])
    allowed = np.where(own & usable[..., None], similarity, -np.inf)
    best = allowed.argmax(1)
    found = np.isfinite(np.take_along_axis(allowed, best[:, None], 1)[:, 0])
    return np.where(found, best, -1)
