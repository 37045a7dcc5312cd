"""Peaks of heat maps and exemplar assignment, against hand-made maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uld_explorer.landmarks.keypoints import best_of_cluster, describe_points, find_peaks
from uld_explorer.landmarks.losses import cell_centers, heat_maps


def test_peaks_come_highest_first_and_sit_on_the_bumps() -> None:
    points = torch.tensor([[[0.30, 0.70], [0.66, 0.21]]])
    heat = heat_maps(points, torch.ones(1, 2), 32, 1.5)
    heat[:, :, 16:] *= 0.8
    found, height = find_peaks(heat, 2, window=2, threshold=0.15)
    assert found[0].tolist() == [pytest.approx([0.30, 0.70], abs=0.006), pytest.approx([0.66, 0.21], abs=0.006)]
    assert height[0, 0] > height[0, 1] > 0.5


def test_a_higher_neighbour_silences_a_peak() -> None:
    heat = torch.zeros(1, 16, 16)
    heat[0, 5, 5], heat[0, 5, 7] = 1.0, 0.9
    assert find_peaks(heat, 2, window=2, threshold=0.1)[1].tolist() == [[1.0, 0.0]]
    assert find_peaks(heat, 2, window=1, threshold=0.1)[1].tolist() == [[1.0, pytest.approx(0.9)]]


def test_low_peaks_and_missing_ones_have_no_height() -> None:
    heat = torch.zeros(1, 8, 8)
    heat[0, 2, 2] = 0.1
    assert find_peaks(heat, 3, 1, threshold=0.15)[1].tolist() == [[0.0, 0.0, 0.0]]


def test_a_peak_at_the_border_stays_near_its_cell() -> None:
    heat = torch.zeros(1, 8, 8)
    heat[0, 0, 0] = 1.0
    found, _ = find_peaks(heat, 1, 1, 0.1)
    assert (found[0, 0] - cell_centers(8)[0]).abs().max() <= 0.5 / 8


def test_descriptors_are_read_at_the_points() -> None:
    volume = torch.nn.functional.normalize(torch.randn(1, 5, 8, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    found = describe_points(volume, cell_centers(8)[None, [9, 30]])
    assert torch.allclose(found[0], volume[0].flatten(1).T[[9, 30]], atol=1e-5)


def test_a_cluster_gets_its_nearest_own_keypoint() -> None:
    similarity = np.array([[[0.9, 0.1], [0.8, 0.2], [0.3, 0.4]]])
    assert best_of_cluster(similarity, np.ones((1, 3), bool)).tolist() == [[0, 2]]
    assert best_of_cluster(similarity, np.array([[False, True, False]])).tolist() == [[1, -1]]


def test_keypoints_order_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    similarity, order = rng.random((4, 12, 3)), rng.permutation(12)
    usable = rng.random((4, 12)) < 0.8
    before, after = best_of_cluster(similarity, usable), best_of_cluster(similarity[:, order], usable[:, order])
    assert np.array_equal(before, np.where(after >= 0, order[after], -1))
