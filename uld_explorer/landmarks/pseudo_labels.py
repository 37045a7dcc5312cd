"""Pseudo-labels (paper 3.2): keypoints of every picture, clustered, one exemplar a cluster and picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from uld_explorer.landmarks.keypoints import best_of_cluster, describe_points, find_peaks
from uld_explorer.landmarks.losses import apply_affine
from uld_explorer.landmarks.network import LandmarkNetwork
from uld_explorer.landmarks.view_maps import MIRRORED, ViewMaps

BATCH = 50
CERTAIN = 0.6
"""Share of its mirrored descriptors, in both directions, that must agree before a landmark has a mirror image."""
MOVED = 0.05
"""A label has changed when it lies farther than this from where it lay, in crop units."""


@dataclass(frozen=True)
class Candidates:
    """Keypoints of N pictures, M each, before they mean anything.

    points (N, M, 2) crop units; height (N, M) of their peaks in 0...1, 0 where there is none; descriptor (N, M, D)
    """

    points: np.ndarray
    height: np.ndarray
    descriptor: np.ndarray

    def usable(self, threshold: float) -> np.ndarray:
        """(N, M) bool."""
        return self.height > threshold


@dataclass(frozen=True)
class PseudoLabels:
    """points (N, K, 2) crop units, present (N, K) bool, score (N, K) likeness to the centroid, descriptor (N, K, D)."""

    points: np.ndarray
    present: np.ndarray
    score: np.ndarray
    descriptor: np.ndarray


def passes(
    network: LandmarkNetwork, data: ViewMaps, view: int = 0
) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
    """Rows, logits and descriptor volume, batch by batch. Only from where gradients are off."""
    network.eval()
    for start in range(0, len(data), BATCH):
        rows = np.arange(start, min(start + BATCH, len(data)))
        yield rows, *network(data.take(rows, view))
    network.train()


@torch.no_grad()
def find_candidates(network: LandmarkNetwork, data: ViewMaps, count: int, window: int) -> Candidates:
    """The `count` highest peaks of every picture's heat map inside its region, with their descriptors."""
    parts = []
    for rows, logits, volume in passes(network, data):
        heat = logits.sigmoid() * data.tensor(data.inside[rows])
        points, height = find_peaks(heat, count, window, 0.0)
        parts.append((points, height, describe_points(volume, points)))
    return Candidates(*(torch.cat(values).cpu().numpy() for values in zip(*parts, strict=True)))


def choose_exemplars(candidates: Candidates, centroids: np.ndarray, threshold: float) -> PseudoLabels:
    """Per picture and cluster the keypoint of that cluster nearest to its centroid.

    centroids (K, D), or (N, K, D) where every picture has a codebook of its own, that of its pose.
    """
    of_each = centroids if centroids.ndim == 3 else centroids[None]
    similarity = candidates.descriptor @ np.swapaxes(of_each, 1, 2)
    best = best_of_cluster(similarity, candidates.usable(threshold))
    found, rows = best >= 0, np.arange(len(best))[:, None]
    at = np.maximum(best, 0)
    score = np.where(found, similarity[rows, at, np.arange(best.shape[1])], 0)
    points = np.where(found[..., None], candidates.points[rows, at], np.nan)
    return PseudoLabels(points, found, score.astype(np.float32), candidates.descriptor[rows, at])


@torch.no_grad()
def describe_labels(network: LandmarkNetwork, data: ViewMaps, labels: PseudoLabels) -> np.ndarray:
    """(K, D) unit: the mean descriptor of each landmark where its labels are."""
    total = 0.0
    for rows, _, volume in passes(network, data):
        points = data.tensor(np.nan_to_num(labels.points[rows], nan=0.5))
        total = total + (describe_points(volume, points).cpu().numpy() * labels.present[rows, :, None]).sum(0)
    return total / np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), 1e-9)


@torch.no_grad()
def mirror_map(network: LandmarkNetwork, data: ViewMaps, labels: PseudoLabels, centroids: np.ndarray) -> np.ndarray:
    """(K,) the landmark that each one becomes in a mirrored picture, its own inverse; -1 where that is not clear.

    The same points are described again in a mirrored view; the clusters that those descriptors fall into, counted,
    tell which landmarks are each other's mirror image (self-training framework, thesis chapter 6).
    """
    landmarks = len(centroids)
    if data.count <= MIRRORED:
        return np.full(landmarks, -1)
    together = np.zeros((landmarks, landmarks))
    for rows, _, volume in passes(network, data, MIRRORED):
        points = data.tensor(np.nan_to_num(labels.points[rows], nan=0.5))
        there = describe_points(volume, apply_affine(data.transforms(rows, MIRRORED), points)).cpu().numpy()
        becomes = (there @ centroids.T).argmax(2)
        row, k = np.nonzero(labels.present[rows])
        np.add.at(together, (k, becomes[row, k]), 1)
    return pair_up(together / np.maximum(together.sum(1, keepdims=True), 1))


def pair_up(share: np.ndarray) -> np.ndarray:
    """(K,) partners, from how often (K, K) one landmark's mirror image is taken for another; -1 where unclear."""
    partner = linear_sum_assignment(-(share + share.T))[1]
    own = np.arange(len(share))
    clear = (partner[partner] == own) & (np.minimum(share[own, partner], share[partner, own]) >= CERTAIN)
    return np.where(clear, partner, -1)


def churn(before: PseudoLabels | None, after: PseudoLabels) -> float:
    """Share of labels, 0...1, that came, went or moved since the round before; 1 in the first."""
    if before is None:
        return 1.0
    moved = np.linalg.norm(np.nan_to_num(before.points) - np.nan_to_num(after.points), axis=-1) > MOVED
    either = before.present | after.present
    changed = (before.present != after.present) | (moved & after.present)
    return float(changed[either].mean()) if either.any() else 0.0
