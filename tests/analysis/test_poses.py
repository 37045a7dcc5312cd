"""Pose profiles by hand: typical pictures first, layouts in their regions, purity by the yaw."""

from __future__ import annotations

import numpy as np
import pytest

from uld_explorer.analysis.poses import nearest_codes, pose_profiles, region_places
from uld_explorer.types import Found, Keypoints, Landmarks, PoseCodes, Regions


def found(codes: np.ndarray, cluster: np.ndarray) -> Found:
    count = len(codes)
    xy = np.tile([[10.0, 20.0], [30.0, 20.0]], (count, 1, 1))
    present = np.ones((count, 2), bool)
    present[0, 1] = False
    xy[0, 1] = np.nan
    points = Keypoints(np.zeros((0, 2)), np.zeros((0, 2), np.float32), np.zeros(0, int), np.zeros(0, int))
    return Found(Landmarks(xy, present, present.astype(np.float32)), points, PoseCodes(codes, cluster))


def test_a_profile_by_hand() -> None:
    codes = np.array([[0.0, 0], [1, 0], [5, 0], [9, 9]])
    regions = Regions(np.tile([0.0, 0.0, 40.0, 80.0], (4, 1)), np.zeros(4))
    yaw = np.array([-80.0, -70.0, 0.0, np.nan])
    first, second = pose_profiles(found(codes, np.array([0, 0, 0, 2])), regions, yaw)
    assert first.rows.tolist() == [1, 0, 2], "nearest to the mean code (2, 0) first"
    np.testing.assert_allclose(first.layout, [[0.25, 0.25], [0.75, 0.25]])
    assert first.purity == pytest.approx(2 / 3) and first.yaw == (-90, -54)
    assert (second.number, second.rows.tolist(), second.purity, second.yaw) == (2, [3], None, None)


def test_without_poses_there_are_no_profiles() -> None:
    some = found(np.zeros((3, 2)), np.zeros(3, int))
    bare = Found(some.landmarks, some.keypoints, None)
    assert pose_profiles(bare, Regions(np.ones((3, 4)), np.zeros(3))) == []


def test_places_turn_with_their_region() -> None:
    """A region turned by 90 degrees: what lies to its centre's right in the picture is at its top, seen upright."""
    regions = Regions(np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([90.0]))
    place = region_places(np.array([[[5.0, 5.0], [5.0, 9.0], [9.0, 5.0]]]), regions)[0]
    np.testing.assert_allclose(place, [[0.5, 0.5], [0.9, 0.5], [0.5, 0.1]], atol=1e-9)


def test_the_nearest_codes_begin_with_the_picture_itself() -> None:
    codes = np.array([[0.0], [1.0], [1.0], [5.0]])
    assert nearest_codes(codes, 2, 3).tolist() == [2, 1, 0]
