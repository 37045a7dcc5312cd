"""Spherical K-means finds what is there, the same for the same seed, and says so when there is too little."""

from __future__ import annotations

import numpy as np
import pytest

from uld_explorer.landmarks.clustering import assign, clustering_backend, kmeans
from uld_explorer.types import UserError


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture()
def blobs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors around five orthogonal directions of very different frequency, their labels, the directions."""
    rng = np.random.default_rng(0)
    centres = np.linalg.qr(rng.normal(size=(8, 8)))[0][:5].astype(np.float32)
    label = np.repeat(np.arange(5), [10, 20, 40, 80, 160])
    return unit(centres[label] + rng.normal(0, 0.05, (310, 8))), label, centres


def test_well_separated_blobs_are_recovered(blobs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    x, truth, centres = blobs
    centroids = kmeans(x, 5, seed=0)
    similarity = centroids @ centres.T
    assert sorted(similarity.argmax(1)) == list(range(5)) and similarity.max(1).min() > 0.99
    label, score = assign(x, centroids)
    np.testing.assert_array_equal(similarity.argmax(1)[label], truth)
    assert score.min() > 0.9


def test_centroids_have_unit_length(blobs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    centroids = kmeans(blobs[0], 7, seed=0, iterations=3, restarts=1)
    assert centroids.shape == (7, 8) and centroids.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)


def test_the_seed_decides(blobs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    first, again = (kmeans(blobs[0], 20, seed=3, restarts=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, kmeans(blobs[0], 20, seed=4, restarts=1))


def test_too_few_descriptors_are_told_with_both_numbers() -> None:
    with pytest.raises(UserError, match=r"10 clusters.*only 9"):
        kmeans(np.eye(9, dtype=np.float32), 10, seed=0)


def test_as_many_clusters_as_descriptors_is_possible() -> None:
    x = np.eye(6, dtype=np.float32)
    label, score = assign(x, kmeans(x, 6, seed=0))
    assert sorted(label) == list(range(6))
    np.testing.assert_allclose(score, 1, atol=1e-6)


def test_assignment_is_that_of_brute_force() -> None:
    rng = np.random.default_rng(1)
    x, centroids = unit(rng.normal(size=(50, 6))), unit(rng.normal(size=(7, 6)))
    label, score = assign(x, centroids)
    for row in range(50):
        cosines = [float(x[row] @ c) for c in centroids]
        assert label[row] == int(np.argmax(cosines))
        assert score[row] == pytest.approx(max(cosines), abs=1e-6)


def test_it_is_said_what_clusters() -> None:
    assert clustering_backend() in ("faiss on the GPU", "faiss on the CPU")
