"""Cluster figures: tight clusters score high, permuted truth matches fully, yaw ranges by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analysis.test_nme import FACES, annotate, detect
from uld_explorer.analysis import clusters
from uld_explorer.analysis.protocols import normaliser

TRUTH = annotate(FACES)
DISTANCE = normaliser(TRUTH, "iod")


def blobs(spread: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1, 2], 40)
    points = np.eye(3)[label] + rng.normal(0, spread, (120, 3))
    return points.astype(np.float32), label


def test_tight_clusters_score_higher() -> None:
    tight, loose = blobs(0.01), blobs(0.5)
    assert clusters.silhouette(*tight) > 0.9 > clusters.silhouette(*loose)
    assert clusters.calinski_harabasz(*tight) > clusters.calinski_harabasz(*loose)


def test_unlabelled_points_do_not_count_and_sampling_is_repeatable() -> None:
    points, label = blobs(0.1)
    more = np.concatenate([points, np.full((9, 3), 50.0, dtype=np.float32)])
    assert clusters.silhouette(more, np.append(label, [-1] * 9)) == pytest.approx(clusters.silhouette(points, label))
    first = clusters.silhouette(points, label, max_points=30, seed=1)
    assert first == clusters.silhouette(points, label, max_points=30, seed=1)
    assert first != clusters.silhouette(points, label, max_points=30, seed=2)


@pytest.mark.parametrize("label", [[0, 0, 0], [-1, -1, -1], [0, 1, 2], [-1, 0, 1]])
def test_no_figure_where_there_are_no_two_clusters(label: list[int]) -> None:
    points = np.eye(3, dtype=np.float32)
    assert clusters.silhouette(points, np.array(label)) is None
    assert clusters.calinski_harabasz(points, np.array(label)) is None


def test_detection_rate() -> None:
    xy = FACES[:4, :2].copy()
    xy[0, 1] = np.nan
    np.testing.assert_allclose(clusters.detection_rate(detect(xy)), [100.0, 75.0])


def test_permuted_truth_is_matched_fully() -> None:
    order = np.random.default_rng(1).permutation(10)
    found = detect(FACES[:, order])
    match = clusters.match_points(found, TRUTH, DISTANCE)
    assert np.array_equal(order[match], np.arange(10))
    np.testing.assert_allclose(clusters.hungarian_accuracy(found, TRUTH, DISTANCE), 100.0)


def test_points_beyond_the_threshold_and_missing_landmarks_are_misses() -> None:
    found = FACES.copy()
    found[:200, 0, 0] += 0.19 * DISTANCE[:200]
    found[200:400, 0, 0] += 0.21 * DISTANCE[200:400]
    found[:80, 1] = np.nan
    accuracy = clusters.hungarian_accuracy(detect(found), TRUTH, DISTANCE, match=np.arange(10))
    np.testing.assert_allclose(accuracy, [75, 90, *[100] * 8])


def test_fewer_landmarks_than_points_leave_points_unmatched() -> None:
    found = detect(FACES[:, [4, 7]])
    match = clusters.match_points(found, TRUTH, DISTANCE)
    assert match.tolist() == [-1, -1, -1, -1, 0, -1, -1, 1, -1, -1]
    accuracy = clusters.hungarian_accuracy(found, TRUTH, DISTANCE, match=match)
    assert np.isnan(accuracy).sum() == 8
    assert np.nansum(accuracy) == 200
    nothing = detect(np.full((800, 2, 2), np.nan))
    assert (clusters.match_points(nothing, TRUTH, DISTANCE) == -1).all()


def test_a_landmark_hardly_ever_found_is_no_bargain() -> None:
    rare = np.full((800, 1, 2), np.nan)
    rare[0, 0] = FACES[0, 0]
    usual = FACES[:, :1] + 2.0
    match = clusters.match_points(detect(np.concatenate([rare, usual], axis=1)), TRUTH, DISTANCE)
    assert match[0] == 1


def test_yaw_bins_by_hand() -> None:
    yaw = np.array([-90.0, -60.0, -20.0, 0.0, 10.0, 54.0, 90.0, 120.0, np.nan])
    error = np.array([1.0, 3.0, 5.0, 2.0, np.nan, 7.0, 8.0, 9.0, 100.0])
    np.testing.assert_allclose(clusters.yaw_bins(yaw, error), [2.0, 5.0, 2.0, np.nan, 8.0])


def test_yaw_cluster_accuracy_by_hand() -> None:
    yaw = np.array([-80.0, -70.0, 0.0, 0.0, 5.0, 80.0, np.nan])
    cluster = np.array([0, 0, 0, 1, 1, 2, 2])
    overall, by_range = clusters.yaw_cluster_accuracy(cluster, yaw)
    assert overall == pytest.approx(100 * 5 / 6)
    np.testing.assert_allclose(by_range, [200 / 3, np.nan, 100, np.nan, 100])
    assert np.isnan(clusters.yaw_cluster_accuracy(cluster, np.full(7, np.nan))[0])


def test_codes_that_hold_the_yaw_know_it_and_noise_does_not() -> None:
    rng = np.random.default_rng(0)
    yaw = rng.uniform(-90, 90, 200)
    turn = np.radians(yaw)[:, None]
    known = clusters.yaw_r2(np.hstack([np.cos(turn), np.sin(turn), 0.01 * rng.standard_normal((200, 4))]), yaw)
    unknown = clusters.yaw_r2(rng.standard_normal((200, 6)), yaw)
    assert known is not None and unknown is not None and known > 0.99 and unknown < 0.1
    assert clusters.yaw_r2(np.zeros((15, 2)), np.zeros(15)) is None
