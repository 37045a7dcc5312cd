"""Two-stage clustering: one pose is plain K-means, and every pose's clusters carry everyone's numbers."""

from __future__ import annotations

import numpy as np

from uld_explorer.landmarks.clustering import kmeans
from uld_explorer.landmarks.two_stage import PoseCodebooks, cluster_keypoints, cluster_poses

K, D = 3, 8


def points(images: int, seed: int, turn: float = 0.0) -> np.ndarray:
    """(images, K, D) unit descriptors near K axes, which a pose may turn a little towards another axis."""
    rng = np.random.default_rng(seed)
    base = np.eye(D)[:K] + turn * np.eye(D)[K : 2 * K]
    found = base[None] + 0.02 * rng.standard_normal((images, K, D))
    return (found / np.linalg.norm(found, axis=-1, keepdims=True)).astype(np.float32)


def test_with_one_pose_it_is_plain_k_means() -> None:
    descriptor = points(12, 0)
    usable = np.ones((12, K), bool)
    plain = kmeans(descriptor.reshape(-1, D), K, seed=1)
    books = cluster_keypoints(descriptor, usable, np.zeros(12, int), plain, 1, seed=1)
    np.testing.assert_allclose(books[0], plain, atol=1e-5)


def test_each_pose_has_every_landmark_once_under_its_own_number() -> None:
    descriptor = np.concatenate([points(12, 1), points(12, 2, turn=0.8)])
    pose = np.repeat([0, 1], 12)
    everyone = np.eye(D)[:K].astype(np.float32)
    books = cluster_keypoints(descriptor, np.ones((24, K), bool), pose, everyone, 2, seed=0)
    assert (books @ everyone.T).argmax(2).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert books[1, 0, K] > 0.5 > books[0, 0, K], "the second pose's cluster is its own"


def test_a_pose_with_too_few_keypoints_uses_everyones_clusters() -> None:
    everyone = np.eye(D)[:K].astype(np.float32)
    books = cluster_keypoints(points(2, 3), np.ones((2, K), bool), np.zeros(2, int), everyone, 2, seed=0)
    np.testing.assert_array_equal(books, np.stack([everyone, everyone]))


def test_poses_are_the_groups_of_codes_and_keep_their_place_from_a_start() -> None:
    rng = np.random.default_rng(4)
    codes = np.concatenate([rng.normal(at, 0.1, (20, 2)) for at in (-5.0, 0.0, 5.0)]).astype(np.float32)
    start = np.array([[5.0, 5.0], [-5.0, -5.0], [0.0, 0.0]], np.float32)
    centers = cluster_poses(codes, 3, seed=0, start=start)
    np.testing.assert_allclose(centers, start, atol=0.2)
    pose = PoseCodebooks(centers, np.eye(2), np.eye(2)[None]).pose_of(codes)
    assert pose.tolist() == [1] * 20 + [2] * 20 + [0] * 20
