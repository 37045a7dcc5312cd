"""Two-stage clustering (paper 3.3.2): poses first, then the keypoints of each pose, with one identity throughout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from uld_explorer.landmarks.clustering import kmeans

FEWEST = 4
"""Keypoints that each cluster of a pose should have on average; a pose with fewer uses everyone's clusters."""

ALIKE = 0.7
"""Likeness (cosine) below which a pose's cluster is not the landmark it was matched to, but of something else: the
landmark is not seen in that pose, and everyone's cluster stands for it."""


@dataclass(frozen=True)
class PoseCodebooks:
    """What stands for each pose and for each landmark.

    poses      (Q, L) centres of the pose codes
    landmarks  (K, D) unit, over all pictures
    by_pose    (Q, K, D) unit; row k is landmark k as it looks in that pose
    """

    poses: np.ndarray
    landmarks: np.ndarray
    by_pose: np.ndarray

    def pose_of(self, codes: np.ndarray) -> np.ndarray:
        """(N,) the nearest pose of each code (N, L)."""
        return ((codes[:, None] - self.poses[None]) ** 2).sum(2).argmin(1)


def cluster_poses(codes: np.ndarray, count: int, seed: int, start: np.ndarray | None = None) -> np.ndarray:
    """(Q, L) centres of the pose codes (N, L); from the centres of the round before where given.

    Raises:
        UserError: fewer pictures than poses.
    """
    return kmeans(codes, count, seed=seed, spherical=False, start=start)


def cluster_keypoints(
    descriptor: np.ndarray,
    usable: np.ndarray,
    pose: np.ndarray,
    landmarks: np.ndarray,
    poses: int,
    seed: int,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """(Q, K, D): K clusters of the keypoints of each pose's pictures, numbered as the landmarks they are most like.

    descriptor (N, M, D), usable (N, M), pose (N,), landmarks (K, D) over all pictures, start (Q, K, D) to begin from.

    Paper is silent: how Q x K clusters become K landmarks. Here each pose's clusters are matched one to one to the
    landmarks of all pictures, by likeness (Hungarian), so that a pose has each landmark once. With Q = 1 this is
    plain K-means.
    """
    books = []
    for q in range(poses):
        of_pose = descriptor[pose == q][usable[pose == q]]
        if len(of_pose) < FEWEST * len(landmarks):
            books.append(landmarks)
            continue
        found = kmeans(of_pose, len(landmarks), seed=seed, start=None if start is None else start[q])
        found = found[linear_sum_assignment(-(landmarks @ found.T))[1]]
        alike = (found * landmarks).sum(1, keepdims=True) >= ALIKE
        books.append(np.where(alike, found, landmarks))
    return np.stack(books)
