"""Labels from clusters: exemplars, partners under mirroring, how much has changed. Hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest

from uld_explorer.landmarks.pseudo_labels import Candidates, PseudoLabels, choose_exemplars, churn, pair_up


def labels(points: list[list[float]], present: list[bool]) -> PseudoLabels:
    count = len(present)
    return PseudoLabels(np.array([points]), np.array([present]), np.ones((1, count)), np.zeros((1, count, 2)))


def candidates() -> Candidates:
    """One picture: two keypoints like (1, 0), one like (0, 1), and a low one."""
    descriptor = np.array([[[0.9, 0.1], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
    points = np.array([[[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4]]])
    return Candidates(points, np.array([[0.9, 0.8, 0.05, 0.02]]), descriptor)


def test_the_keypoint_nearest_to_a_centroid_stands_for_it() -> None:
    found = choose_exemplars(candidates(), np.eye(2), threshold=0.0)
    assert found.present.tolist() == [[True, True]]
    np.testing.assert_allclose(found.points[0], [[0.2, 0.2], [0.3, 0.3]])
    np.testing.assert_allclose(found.score, [[1, 1]])


def test_a_cluster_without_a_keypoint_that_is_high_enough_is_missing() -> None:
    found = choose_exemplars(candidates(), np.eye(2), threshold=0.1)
    assert found.present.tolist() == [[True, False]]
    assert np.isnan(found.points[0, 1]).all() and found.score[0, 1] == 0


def test_pictures_may_have_codebooks_of_their_own() -> None:
    swapped = np.eye(2)[::-1][None]
    found = choose_exemplars(candidates(), swapped, threshold=0.0)
    np.testing.assert_allclose(found.points[0], [[0.3, 0.3], [0.2, 0.2]])


def test_partners_are_each_others_and_unclear_ones_have_none() -> None:
    share = np.array([[0.1, 0.9, 0.0, 0.0], [0.8, 0.2, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.4, 0.0, 0.2, 0.4]])
    assert pair_up(share).tolist() == [1, 0, 2, -1]


@pytest.mark.parametrize(
    ("after", "present", "expected"),
    [
        ([[0.5, 0.5], [0.2, 0.2]], [True, True], 0.0),
        ([[0.5, 0.5], [0.4, 0.2]], [True, True], 0.5),
        ([[0.5, 0.5], [np.nan, np.nan]], [True, False], 0.5),
    ],
)
def test_churn_counts_what_came_went_or_moved(after: list[list[float]], present: list[bool], expected: float) -> None:
    before = labels([[0.5, 0.5], [0.2, 0.2]], [True, True])
    assert churn(before, labels(after, present)) == pytest.approx(expected)
    assert churn(None, before) == 1.0
