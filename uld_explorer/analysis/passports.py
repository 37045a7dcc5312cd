"""A passport for every landmark: where it is seen, how steady and how distinct it is, and one figure for its health.

Nothing here needs an annotation. Arrays in, arrays out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uld_explorer.types import Found

UNSTEADY = 8.0
"""Pixels at 128 by 128 that a landmark is off under turning and scaling at which its steadiness has fallen to 1 / e."""
SAMPLE = 3000
"""Keypoints that the silhouette is measured on, at most: its cost is their square."""


@dataclass(frozen=True)
class Passport:
    """What is known of one landmark.

    name         its title
    seen         share of pictures in which it is seen, 0...1
    by_pose      (Q,) the same in each pose cluster; empty without poses
    spread       mean distance (1 - cosine) of its descriptors from their mean; None without descriptors
    distinct     mean silhouette of its keypoints, -1...1; None where it cannot be measured
    consistency  pixels at 128 by 128 that it is off under a turn and change of size; None where not measured
    partner      the landmark that it becomes in a mirrored picture, its own number where it is in the middle; None
                 where that is not known
    health       0...100, see `health`
    rows         (M,) pictures in which it is seen, the most typical first
    """

    name: str
    seen: float
    by_pose: np.ndarray
    spread: float | None
    distinct: float | None
    consistency: float | None
    partner: int | None
    health: float
    rows: np.ndarray

    def examples(self, count: int) -> dict[str, np.ndarray]:
        """best, median and worst: up to `count` pictures each, by likeness to the landmark's typical look."""
        middle = max(0, (len(self.rows) - count) // 2)
        return {
            "best": self.rows[:count],
            "median": self.rows[middle : middle + count],
            "worst": self.rows[::-1][:count],
        }


def health(seen: float, distinct: float | None, consistency: float | None) -> float:
    """0...100: the geometric mean of being seen, steady and distinct; what is not known is left out.

    Steady: exp(-consistency / UNSTEADY). Distinct: the silhouette, 0 where negative.
    """
    parts = [seen]
    if consistency is not None:
        parts.append(float(np.exp(-consistency / UNSTEADY)))
    if distinct is not None:
        parts.append(max(distinct, 0.0))
    return 100.0 * float(np.prod(parts) ** (1 / len(parts)))


def passports(
    found: Found, consistency: np.ndarray | None = None, partners: np.ndarray | None = None
) -> list[Passport]:
    """One for each of the K landmarks. consistency (K,) NaN where unknown; partners (K,) -1 where unknown."""
    landmarks = found.landmarks
    seen, count = landmarks.seen, landmarks.present.shape[1]
    distinct, spread = _silhouettes(found), _spreads(found)
    result = []
    for k in range(count):
        steady = None if consistency is None or not np.isfinite(consistency[k]) else float(consistency[k])
        rows = np.flatnonzero(seen[:, k])
        share = float(seen[:, k].mean()) if len(seen) else 0.0
        partner = None if partners is None or partners[k] < 0 else int(partners[k])
        typical = rows[np.argsort(-landmarks.score[rows, k], kind="stable")]
        figures = health(share, distinct[k], steady)
        by_pose = _by_pose(seen[:, k], found)
        name = landmarks.titles[k]
        result.append(Passport(name, share, by_pose, spread[k], distinct[k], steady, partner, figures, typical))
    return result


def _by_pose(seen: np.ndarray, found: Found) -> np.ndarray:
    if found.poses is None:
        return np.zeros(0)
    cluster = found.poses.cluster
    sizes = np.bincount(cluster)
    return np.where(sizes > 0, np.bincount(cluster, seen, len(sizes)) / np.maximum(sizes, 1), np.nan)


def _spreads(found: Found) -> list[float | None]:
    points = found.keypoints
    known = points.descriptor.shape[1] > 1
    spreads: list[float | None] = []
    for k in range(found.landmarks.present.shape[1]):
        mine = points.descriptor[points.label == k]
        mean = mine.mean(0) if len(mine) else np.zeros(points.descriptor.shape[1])
        length = float(np.linalg.norm(mean))
        spreads.append(float(1 - (mine @ (mean / length)).mean()) if known and length > 1e-6 else None)
    return spreads


def _silhouettes(found: Found) -> list[float | None]:
    """The mean silhouette of each landmark's keypoints among all, or a sample of them."""
    from sklearn.metrics import silhouette_samples

    points, count = found.keypoints, found.landmarks.present.shape[1]
    rows = np.unique(np.linspace(0, max(len(points.label) - 1, 0), min(len(points.label), SAMPLE)).astype(int))
    label = points.label[rows]
    if points.descriptor.shape[1] < 2 or not 2 <= len(np.unique(label)) < len(label):
        return [None] * count
    values = silhouette_samples(points.descriptor[rows], label)
    return [float(values[label == k].mean()) if (label == k).any() else None for k in range(count)]
