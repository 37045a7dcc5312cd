"""Maps: exact neighbours, the same map for the same seed, and something sensible for a handful of points."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from uld_explorer.analysis.projection import nearest_neighbours, pca_map, umap_map


def test_neighbours_are_exact_and_start_with_the_point_itself() -> None:
    x = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    indices, distances = nearest_neighbours(x, 6)
    full = np.linalg.norm(x[:, None] - x[None], axis=-1)
    assert np.array_equal(indices[:, 0], np.arange(200))
    assert np.array_equal(indices, np.argsort(full, axis=1)[:, :6])
    np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :6], atol=1e-3)


def test_equal_points_still_start_with_themselves() -> None:
    indices, distances = nearest_neighbours(np.ones((30, 4), dtype=np.float32), 5)
    assert np.array_equal(indices[:, 0], np.arange(30))
    assert all(len(set(row)) == 5 for row in indices.tolist())
    assert (distances == 0).all()
    assert nearest_neighbours(np.eye(3, dtype=np.float32), 10)[0].shape == (3, 3)


def test_pca_finds_the_long_direction_whatever_the_sign() -> None:
    rng = np.random.default_rng(1)
    line = rng.normal(size=(50, 1)) * [[3.0, 4.0, 0.0]] + rng.normal(0, 0.01, (50, 3))
    flat = pca_map(line)
    assert flat.dtype == np.float32
    assert flat[:, 0].std() > 100 * flat[:, 1].std()
    np.testing.assert_allclose(flat, pca_map(line + 7.0), atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 7, 20])
def test_a_handful_of_points_has_a_map(count: int) -> None:
    x = np.random.default_rng(2).normal(size=(count, 6)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error", category=UserWarning)
        flat = umap_map(x, 0)
    assert flat.shape == (count, 2)
    assert flat.dtype == np.float32
    assert np.isfinite(flat).all()


def test_equal_points_have_a_map() -> None:
    assert np.isfinite(umap_map(np.ones((20, 4), dtype=np.float32), 0)).all()
    assert np.isfinite(umap_map(np.repeat(np.eye(4, dtype=np.float32), 20, axis=0), 0)).all()


def test_the_map_is_repeatable_and_keeps_clusters_apart() -> None:
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1], 40)
    x = (np.eye(8)[label] + rng.normal(0, 0.05, (80, 8))).astype(np.float32)
    flat = umap_map(x, 5)
    assert np.array_equal(flat, umap_map(x, 5))
    assert not np.array_equal(flat, umap_map(x, 6))
    centre = np.stack([flat[label == i].mean(axis=0) for i in (0, 1)])
    spread = max(np.linalg.norm(flat[label == i] - centre[i], axis=1).mean() for i in (0, 1))
    assert np.linalg.norm(centre[0] - centre[1]) > 2 * spread
