"""Passports by hand: shares, spread, steadiness, partners, order of examples, and a health that rises with each."""

from __future__ import annotations

import numpy as np
import pytest

from uld_explorer.analysis.passports import UNSTEADY, health, passports
from uld_explorer.types import Found, Keypoints, Landmarks, PoseCodes

COUNT = 20


def found(noise: float = 0.0, poses: bool = True) -> Found:
    """Landmark 0 everywhere with one look, 1 only in pose 0 (the first half), 2 nowhere."""
    present = np.zeros((COUNT, 3), bool)
    present[:, 0] = True
    present[:10, 1] = True
    score = np.where(present, np.linspace(1, 0.5, COUNT)[:, None], 0).astype(np.float32)
    image, label = np.nonzero(present)
    rng = np.random.default_rng(0)
    descriptor = np.eye(4)[label] + noise * rng.standard_normal((len(label), 4))
    descriptor /= np.linalg.norm(descriptor, axis=1, keepdims=True)
    xy = np.where(present[..., None], 5.0, np.nan)
    points = Keypoints(xy[image, label], descriptor.astype(np.float32), label, image)
    codes = PoseCodes(np.zeros((COUNT, 2)), np.repeat([0, 1], 10)) if poses else None
    return Found(Landmarks(xy, present, score, None, ("nose", "ear", "none")), points, codes)


def test_figures_by_hand() -> None:
    nose, ear, none = passports(found(), np.array([2.0, np.nan, np.nan]), np.array([0, 2, -1]))
    assert (nose.seen, ear.seen, none.seen) == (1.0, 0.5, 0.0)
    np.testing.assert_array_equal(ear.by_pose, [1, 0])
    assert nose.spread == pytest.approx(0, abs=1e-6) and none.spread is None
    assert nose.distinct == pytest.approx(1) and none.distinct is None
    assert (nose.consistency, ear.consistency) == (2.0, None)
    assert (nose.partner, ear.partner, none.partner) == (0, 2, None)
    assert nose.health == pytest.approx(100 * np.exp(-2 / UNSTEADY) ** (1 / 3))
    assert none.health == 0


def test_examples_go_from_the_most_typical_to_the_least() -> None:
    nose = passports(found())[0].examples(3)
    assert (nose["best"].tolist(), nose["worst"].tolist()) == ([0, 1, 2], [19, 18, 17])
    assert nose["median"].tolist() == [8, 9, 10]
    assert [len(rows) for rows in passports(found())[2].examples(3).values()] == [0, 0, 0]


def test_noise_in_the_descriptors_lowers_the_health() -> None:
    clean, noisy = (passports(found(noise))[0] for noise in (0.05, 0.6))
    assert noisy.health < clean.health and (noisy.spread or 0) > (clean.spread or 0)


def test_health_leaves_out_what_is_not_known_and_rises_with_each_part() -> None:
    assert health(0.64, None, None) == pytest.approx(64)
    assert health(0.5, 0.5, None) == pytest.approx(50)
    assert health(1, 1, 0.0) == pytest.approx(100) and health(1, -0.3, 0.0) == 0
    assert health(0.9, 0.5, 3) > health(0.8, 0.5, 3) > health(0.8, 0.4, 3) > health(0.8, 0.4, 4)


def test_without_poses_or_descriptors_the_rest_is_still_there() -> None:
    some = found(poses=False)
    bare = Keypoints(some.keypoints.xy, np.zeros((len(some.keypoints.label), 1), np.float32), *_places(some))
    first = passports(Found(some.landmarks, bare, None))[0]
    assert first.by_pose.size == 0 and first.distinct is None and first.spread is None and first.health == 100


def _places(some: Found) -> tuple[np.ndarray, np.ndarray]:
    return some.keypoints.label, some.keypoints.image
