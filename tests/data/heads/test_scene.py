"""Rendered heads: the same at every size, repeatable, and with ground truth that agrees with the picture's geometry."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from uld_explorer.data.heads.anatomy import POINTS, sample_head, turn
from uld_explorer.data.heads.scene import RenderedHead, render_head, render_view

AT = {name: i for i, name in enumerate(POINTS)}
render = cache(render_head)


def yaws(seed: int, count: int) -> np.ndarray:
    """The yaws of a series, without rendering it: the first number that each head draws."""
    return np.array([np.random.default_rng([seed, i]).uniform(-90, 90) for i in range(count)])


def sides(head: RenderedHead, name: str) -> tuple[float, float]:
    """The x of the left and of the right point of a pair."""
    return head.xy[AT[f"{name}_left"], 0], head.xy[AT[f"{name}_right"], 0]


@pytest.mark.parametrize("index", range(6))
def test_points_scale_exactly_with_the_size_and_stay_visible(index: int) -> None:
    small, big = render(3, index, 64), render(3, index, 128)
    np.testing.assert_allclose(big.xy, 2 * small.xy, rtol=1e-12)
    np.testing.assert_allclose(big.box, 2 * small.box, rtol=1e-12)
    assert (big.yaw, big.pitch, big.roll) == (small.yaw, small.pitch, small.roll)
    assert (big.visible == small.visible).mean() > 0.85


def test_the_same_person_is_seen_at_every_size() -> None:
    small, big = render(3, 1, 64), render(3, 1, 128)
    reduced = big.image.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(reduced - small.image).mean() < 8


def test_seed_and_index_give_the_same_picture_bit_by_bit() -> None:
    first, again = render_head(1, 2, 48), render_head(1, 2, 48)
    for name in ("image", "xy", "visible", "box"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_another_seed_or_index_is_another_head() -> None:
    heads = [render_head(seed, index, 32) for seed, index in ((0, 0), (0, 1), (1, 0))]
    assert len({head.image.tobytes() for head in heads}) == 3
    assert len({head.yaw for head in heads}) == 3


def test_a_picture_is_rgb_bytes_with_contrast() -> None:
    for index in range(5):
        head = render(0, index, 32)
        assert head.image.shape == (32, 32, 3) and head.image.dtype == np.uint8
        assert head.image.std() > 10


def test_left_is_left_in_the_picture_of_a_head_that_looks_at_the_camera() -> None:
    for index in range(10):
        head = render_head(5, index, 32, max_yaw=0.0)
        assert head.yaw == 0
        for pair in ("ear", "eye_outer", "eye_inner", "pupil", "brow_outer", "nostril", "mouth"):
            left, right = sides(head, pair)
            assert left < right, pair
        assert sides(head, "eye_outer")[0] < sides(head, "eye_inner")[0]


def test_up_is_up() -> None:
    for index in range(10):
        head = render_head(5, index, 32, max_yaw=0.0)
        height = [head.xy[AT[name], 1] for name in ("nose_bridge", "nose_tip", "lip_upper", "lip_lower", "chin")]
        assert height == sorted(height)


def test_positive_yaw_looks_to_the_pictures_right() -> None:
    series = yaws(7, 60)
    for index in np.flatnonzero(np.abs(series) > 25)[:12]:
        head = render(7, int(index), 32)
        assert head.yaw == series[index]
        middle = np.mean(sides(head, "eye_inner"))
        assert np.sign(head.xy[AT["nose_tip"], 0] - middle) == np.sign(head.yaw)


def test_turns_by_hand() -> None:
    nose = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(turn(), np.eye(3))
    np.testing.assert_allclose(turn(yaw=90) @ nose, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(turn(pitch=90) @ nose, [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(turn(roll=90) @ [0.0, 1.0, 0.0], [1, 0, 0], atol=1e-12)


def test_in_profile_the_far_eye_is_hidden_and_nearly_always_the_near_one_seen() -> None:
    series = yaws(0, 300)
    near_seen = []
    for index in np.flatnonzero(np.abs(series) > 84)[:12]:
        head = render(0, int(index), 64)
        far, near = ("right", "left") if head.yaw > 0 else ("left", "right")
        assert not head.visible[AT[f"eye_outer_{far}"]]
        assert not head.visible[AT[f"ear_{far}"]]
        near_seen.append(head.visible[AT[f"eye_outer_{near}"]])
    assert len(near_seen) == 12 and np.mean(near_seen) > 0.5


def test_the_box_is_the_tight_box_of_all_points() -> None:
    for index in range(10):
        head = render(2, index, 32)
        np.testing.assert_allclose(head.box[:2], head.xy.min(0))
        np.testing.assert_allclose(head.box[:2] + head.box[2:], head.xy.max(0))


def test_visible_points_lie_inside_the_picture() -> None:
    for index in range(30):
        head = render(2, index, 32)
        assert ((head.xy[head.visible] >= 0) & (head.xy[head.visible] < 32)).all()


def test_the_points_are_the_projected_surface_points() -> None:
    """Weak perspective worked out with another library's rotations, from the same random numbers."""
    head, size = render(9, 4, 64), 64
    rng = np.random.default_rng([9, 4])
    yaw, pitch, roll = rng.uniform(-90, 90), rng.normal(0, 12), rng.normal(0, 10)
    person = sample_head(rng)
    points = np.stack([person.points[name] for name in POINTS])
    scale, origin = size * rng.uniform(0.29, 0.37), size * (0.5 + rng.uniform(-0.07, 0.07, 2))
    camera = Rotation.from_euler("yxz", [yaw, -pitch, -roll], degrees=True).apply(points)
    expected = np.column_stack([origin[0] + scale * camera[:, 0], origin[1] - scale * camera[:, 1]])
    np.testing.assert_allclose(head.xy, expected, atol=1e-9)
    assert (head.yaw, head.pitch, head.roll) == (yaw, pitch, roll)


def test_yaws_cover_the_whole_range_evenly() -> None:
    counts, _ = np.histogram(yaws(0, 1000), bins=6, range=(-90, 90))
    assert counts.sum() == 1000
    assert counts.min() > 120 and counts.max() < 215
    rendered = [render(0, i, 32).yaw for i in range(5)]
    np.testing.assert_array_equal(rendered, yaws(0, 5))
    assert abs(render_head(0, 0, 32, max_yaw=30).yaw) == pytest.approx(abs(rendered[0]) / 3)


def test_views_show_one_person_from_different_sides() -> None:
    views = [render_view(5, 2, view, 48) for view in range(4)]
    assert len({view.image.tobytes() for view in views}) == 4
    again = render_view(5, 2, 3, 48)
    np.testing.assert_array_equal(again.image, views[3].image)
    np.testing.assert_array_equal(again.depth, views[3].depth)
    for view in views:
        np.testing.assert_allclose(view.camera.rotation @ view.camera.rotation.T, np.eye(3), atol=1e-12)


def test_depth_and_camera_give_back_the_tip_of_the_nose() -> None:
    """Where a nose points at the camera, the surface at its place is the nose's."""
    near = 0
    for view in range(12):
        shot = render_view(5, 1, view, 96)
        tip = shot.camera.rotation @ sample_head(np.random.default_rng([5, 1])).points["nose_tip"]
        x, y = (shot.camera.origin + shot.camera.scale * tip[:2] * np.array([1, -1])).astype(int)
        near += bool(abs(shot.depth[y, x] - tip[2]) < 0.08)
    assert near >= 8
    assert np.isneginf(shot.depth[0, 0])
