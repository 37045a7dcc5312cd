"""What each pose cluster is: its size, its mean layout, its most typical pictures, and how pure it is by the yaw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uld_explorer.analysis.clusters import YAW_EDGES, yaw_range
from uld_explorer.analysis.nme import column_means
from uld_explorer.types import Found, Regions


@dataclass(frozen=True)
class PoseProfile:
    """One pose cluster.

    number   0...Q-1
    rows     (M,) its pictures, the most typical first
    layout   (K, 2) mean place of each landmark as a share of the region's width and height; NaN where never present
    purity   share of its pictures that lie in its commonest yaw range, 0...1; None where no yaw is annotated
    yaw      that range in degrees, from and to; None likewise
    """

    number: int
    rows: np.ndarray
    layout: np.ndarray
    purity: float | None = None
    yaw: tuple[float, float] | None = None


def pose_profiles(found: Found, regions: Regions, yaw: np.ndarray | None = None) -> list[PoseProfile]:
    """Profiles of the pose clusters that have pictures; none where no poses were found. yaw (N,) degrees or NaN."""
    if found.poses is None:
        return []
    codes, cluster = found.poses.codes, found.poses.cluster
    place = region_places(found.landmarks.xy, regions)
    profiles = []
    for q in np.unique(cluster):
        rows = np.flatnonzero(cluster == q)
        order = rows[np.argsort(np.linalg.norm(codes[rows] - codes[rows].mean(0), axis=1), kind="stable")]
        layout = np.stack([column_means(place[rows, :, axis]) for axis in (0, 1)], 1)
        profiles.append(PoseProfile(int(q), order, layout, *_purity(rows, yaw)))
    return profiles


def region_places(xy: np.ndarray, regions: Regions) -> np.ndarray:
    """(N, K, 2) points in pixels as shares of each region's width and height, turned upright with it."""
    centre = regions.boxes[:, :2] + regions.boxes[:, 2:] / 2
    cos, sin = np.cos(np.radians(regions.angles)), np.sin(np.radians(regions.angles))
    turn = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)  # the region's angle, taken back
    own = np.einsum("nij,nkj->nki", turn, xy - centre[:, None])
    return np.asarray(own / regions.boxes[:, None, 2:] + 0.5)


def _purity(rows: np.ndarray, yaw: np.ndarray | None) -> tuple[float | None, tuple[float, float] | None]:
    index = yaw_range(yaw[rows]) if yaw is not None else np.zeros(0, int)
    index = index[index >= 0]
    if not len(index):
        return None, None
    count = np.bincount(index, minlength=len(YAW_EDGES) - 1)
    best = int(count.argmax())
    return float(count[best] / len(index)), (float(YAW_EDGES[best]), float(YAW_EDGES[best + 1]))


def nearest_codes(codes: np.ndarray, row: int, count: int) -> np.ndarray:
    """(count,) pictures whose pose codes (N, L) are nearest to that of picture `row`, which comes first."""
    distance = np.linalg.norm(codes - codes[row], axis=1)
    distance[row] = -1
    return np.argsort(distance, kind="stable")[:count]
