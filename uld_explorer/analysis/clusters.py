"""How tight, how frequent and how meaningful the clusters are. Pure functions; knows nothing of how they were made."""

from __future__ import annotations

import numpy as np

from uld_explorer.analysis.nme import column_means, found_points
from uld_explorer.analysis.protocols import truth_points
from uld_explorer.types import Annotations, Landmarks

YAW_EDGES = np.linspace(-90.0, 90.0, 6)


def _sample(
    descriptor: np.ndarray, label: np.ndarray, max_points: int, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """A random part of the labelled points, or None where fewer than two clusters (or no spare point) are left."""
    rows = np.flatnonzero(np.asarray(label) >= 0)
    if len(rows) > max_points:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_points, replace=False))
    clusters = len(np.unique(label[rows]))
    return (descriptor[rows], label[rows]) if 2 <= clusters < len(rows) else None


def silhouette(descriptor: np.ndarray, label: np.ndarray, max_points: int = 2000, seed: int = 0) -> float | None:
    """Silhouette coefficient, -1 ... 1, larger is tighter (paper, Table 3); None below two clusters.

    descriptor (M, D), label (M,) with -1 for none, which do not count. At most `max_points` random points are used,
    since the cost is their square. Paper is silent: Euclidean distances, of unit-length descriptors.
    """
    from sklearn.metrics import silhouette_score

    part = _sample(descriptor, label, max_points, seed)
    return None if part is None else float(silhouette_score(*part))


def calinski_harabasz(
    descriptor: np.ndarray, label: np.ndarray, max_points: int = 20_000, seed: int = 0
) -> float | None:
    """Calinski-Harabasz index, at least 0, larger is better apart (paper, Table 3); None below two clusters.

    Arguments as in `silhouette`. The index grows with the number of points: compare it at equal numbers only.
    """
    from sklearn.metrics import calinski_harabasz_score

    part = _sample(descriptor, label, max_points, seed)
    return None if part is None else float(calinski_harabasz_score(*part))


def detection_rate(landmarks: Landmarks) -> np.ndarray:
    """(K,) percent of the pictures in which each landmark was found; NaN if there are no pictures."""
    return 100.0 * column_means(landmarks.present.astype(np.float64))


def _normalised_distances(found: Landmarks, truth: Annotations, distance: np.ndarray) -> np.ndarray:
    """(N, P, K) distances in units of d, NaN where one of the two points or d is missing."""
    difference = truth_points(truth)[:, :, None] - found_points(found)[:, None]
    return np.linalg.norm(difference, axis=-1) / distance[:, None, None]


def match_points(found: Landmarks, truth: Annotations, distance: np.ndarray) -> np.ndarray:
    """Match annotated points to landmarks one to one, by the Hungarian algorithm on mean distances (paper, Fig. 4).

    distance (N,) pixels, the d of each picture. Paper is silent: where a landmark is missing, its distance counts as
    the largest mean distance of any pair, so a landmark that is hardly ever found is no bargain.
    Returns (P,) int64 landmarks; -1 for the points that are left over where there are fewer landmarks than points.
    """
    from scipy.optimize import linear_sum_assignment

    match = np.full(truth.xy.shape[1], -1, dtype=np.int64)
    if not found.present.shape[1] or not truth.xy.shape[1]:
        return match
    pairs = _normalised_distances(found, truth, distance)
    mean = column_means(pairs)
    if np.isnan(mean).all():
        return match
    counted = (truth.visibility > 0) & np.isfinite(distance)[:, None]
    worst = np.nanmax(mean)
    cost = column_means(np.where(counted[..., None] & np.isnan(pairs), worst, pairs))
    points, landmarks = linear_sum_assignment(np.where(np.isnan(cost), worst, cost))
    match[points] = landmarks
    return match


def hungarian_accuracy(
    found: Landmarks,
    truth: Annotations,
    distance: np.ndarray,
    threshold: float = 0.2,
    match: np.ndarray | None = None,
) -> np.ndarray:
    """(P,) percent of the pictures in which each point's landmark lies within threshold * d of it (paper, Fig. 4).

    match  (P,) from `match_points`, on pictures other than these where possible; made from these where None

    A picture in which the landmark is missing is a miss; one in which the point is not annotated does not count.
    NaN for points without a landmark (always some where K < P) and for points never annotated.
    """
    match = match_points(found, truth, distance) if match is None else match
    pairs = _normalised_distances(found, truth, distance)
    counted = (truth.visibility > 0) & np.isfinite(distance)[:, None]
    accuracy = np.full(len(match), np.nan)
    for point, landmark in enumerate(match):
        rows = counted[:, point]
        if landmark >= 0 and rows.any():
            accuracy[point] = 100.0 * (pairs[rows, point, landmark] <= threshold).mean()
    return accuracy


def yaw_range(yaw: np.ndarray) -> np.ndarray:
    """(N,) the range 0 ... 4 of each yaw in degrees: five equal ranges over -90 ... 90, the outer ones open-ended.

    -1 where the yaw is NaN.
    """
    index = np.clip(np.digitize(yaw, YAW_EDGES) - 1, 0, len(YAW_EDGES) - 2)
    return np.where(np.isnan(yaw), -1, index)


def yaw_bins(yaw: np.ndarray, error: np.ndarray) -> np.ndarray:
    """(5,) means of a per-picture error (N,) inside each yaw range; NaN for a range without pictures."""
    index = yaw_range(yaw)
    return np.array([float(column_means(error[index == i])) for i in range(len(YAW_EDGES) - 1)])


def yaw_r2(codes: np.ndarray, yaw: np.ndarray, neighbours: int = 5, seed: int = 0) -> float | None:
    """How well pose codes know the yaw: R² of a nearest-neighbour regression, at most 1; None below 20 known yaws.

    codes (N, L), yaw (N,) degrees. A seeded half of the pictures tells the yaw of the other half.
    """
    from sklearn.neighbors import KNeighborsRegressor

    rows = np.random.default_rng(seed).permutation(np.flatnonzero(np.isfinite(yaw)))
    half = len(rows) // 2
    if half < 10:
        return None
    known = KNeighborsRegressor(neighbours).fit(codes[rows[:half]], yaw[rows[:half]])
    return float(known.score(codes[rows[half:]], yaw[rows[half:]]))


def yaw_cluster_accuracy(cluster: np.ndarray, yaw: np.ndarray) -> tuple[float, np.ndarray]:
    """Do pose clusters follow the yaw? (paper, Fig. 7)

    Each cluster takes the yaw range that most of its pictures are in. cluster (N,), yaw (N,) degrees.
    Returns the percent of pictures that lie in their cluster's range, and the same (5,) for each range's clusters
    (NaN for a range that no cluster takes). NaN throughout where no yaw is known.
    """
    index = yaw_range(yaw)
    known = index >= 0
    ranges = len(YAW_EDGES) - 1
    right, total = np.zeros(ranges), np.zeros(ranges)
    for value in np.unique(cluster[known]):
        count = np.bincount(index[known & (cluster == value)], minlength=ranges)
        right[count.argmax()] += count.max()
        total[count.argmax()] += count.sum()
    by_range = np.where(total > 0, 100.0 * right / np.maximum(total, 1), np.nan)
    return (100.0 * float(right.sum() / total.sum()) if total.sum() else float("nan")), by_range
