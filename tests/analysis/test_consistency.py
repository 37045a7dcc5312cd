"""Consistency: exact followers are at 0, known offsets give themselves."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analysis.test_nme import detect
from uld_explorer.analysis import consistency as c

POINTS = np.random.default_rng(0).uniform(10, 200, (200, 6, 2))
SIZES = np.broadcast_to([256.0, 256.0], (200, 2))


def test_a_detector_that_follows_exactly_is_consistent() -> None:
    transform = c.similarity(np.random.default_rng(1), SIZES)
    moved = c.apply(transform, POINTS)
    assert c.consistency_error(detect(moved), detect(POINTS), transform, SIZES) == pytest.approx(0.0, abs=1e-9)


def test_a_known_shift_gives_that_number_at_128() -> None:
    transform = c.similarity(np.random.default_rng(2), SIZES)
    moved = c.apply(transform, POINTS) + np.array([6.0, 8.0])
    assert c.consistency_error(detect(moved), detect(POINTS), transform, SIZES) == pytest.approx(5.0)
    assert c.consistency_error(detect(moved), detect(POINTS), transform, SIZES / 2) == pytest.approx(10.0)


def test_landmarks_missing_in_either_version_do_not_count() -> None:
    identity = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    moved, original = POINTS.copy(), POINTS.copy()
    moved[:, 0] += [3.0, 4.0]
    moved[1:, 0] = np.nan
    original[5, 1] = np.nan
    errors = c.consistency_errors(detect(moved), detect(original), identity, SIZES / 2)
    assert np.isnan(errors[1:, 0]).all()
    assert np.isnan(errors[5, 1])
    np.testing.assert_allclose(c.consistency_by_landmark(errors), [5, 0, 0, 0, 0, 0], atol=1e-9)
    assert c.consistency_error(detect(moved), detect(original), identity, SIZES / 2) == pytest.approx(5 / 6)
    nothing = detect(np.full_like(POINTS, np.nan))
    assert np.isnan(c.consistency_error(nothing, detect(original), identity, SIZES))


def test_apply_by_hand() -> None:
    quarter = np.array([[0.0, -1.0, 10.0], [1.0, 0.0, 20.0]])
    np.testing.assert_allclose(c.apply(quarter, np.array([[1.0, 0.0], [0.0, 1.0]])), [[10, 21], [9, 20]])


def test_the_draws_are_similarities_about_the_centre() -> None:
    size = np.broadcast_to([400.0, 200.0], (4000, 2))
    transform = c.similarity(np.random.default_rng(3), size)
    linear = transform[:, :, :2]
    scale = np.sqrt(np.linalg.det(linear))
    np.testing.assert_allclose(linear @ np.swapaxes(linear, 1, 2), scale[:, None, None] ** 2 * np.eye(2), atol=1e-9)
    angle = np.rad2deg(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    assert angle.std() == pytest.approx(15, rel=0.1)
    assert abs(angle.mean()) < 1
    assert 0.9 <= scale.min() < scale.max() <= 1.1
    offset = c.apply(transform, size[:, None] / 2)[:, 0] - size / 2
    assert (np.abs(offset) <= 0.05 * size + 1e-9).all()


def test_the_draws_do_not_depend_on_the_size() -> None:
    small = c.similarity(np.random.default_rng(4), SIZES)
    large = c.similarity(np.random.default_rng(4), 3 * SIZES)
    np.testing.assert_allclose(c.apply(large, 3 * POINTS), 3 * c.apply(small, POINTS))
