"""The ray-caster against geometry worked out by hand: spheres, hidden parts, clipped parts and rings."""

from __future__ import annotations

import numpy as np
import pytest

from uld_explorer.data.heads.raycast import Canvas, Ellipsoid, Paint, Ring, draw, shade, soften

UPRIGHT = np.eye(3)


def canvas(n: int = 41) -> Canvas:
    """Coordinates -2 ... 2 in steps of 0.1: pixel (20, 20) is the origin, row 0 the top."""
    xs = np.linspace(-2, 2, n)
    return Canvas.empty(xs, -xs)


def plain(*colour: float) -> Paint:
    return lambda points: np.broadcast_to(np.array(colour), points.shape)


RED, BLUE = plain(1, 0, 0), plain(0, 0, 1)


def sphere(x: float = 0.0, y: float = 0.0, z: float = 0.0, radius: float = 1.0, paint: Paint = RED) -> Ellipsoid:
    return Ellipsoid(np.array([x, y, z]), np.full(3, radius), paint)


def test_a_sphere_has_the_depth_and_normal_of_a_sphere() -> None:
    at = canvas()
    draw(sphere(z=0.5), UPRIGHT, at)
    assert at.depth[20, 20] == pytest.approx(1.5)
    np.testing.assert_allclose(at.normal[20, 20], [0, 0, 1], atol=1e-6)
    assert at.depth[20, 26] == pytest.approx(0.5 + 0.8)
    np.testing.assert_allclose(at.normal[20, 26], [0.6, 0, 0.8], atol=1e-6)
    np.testing.assert_allclose(at.normal[12, 20], [0, 0.8, 0.6], atol=1e-6)
    assert at.depth[20, 31] == -np.inf and at.depth[0, 0] == -np.inf
    drawn = np.isfinite(at.depth)
    np.testing.assert_allclose(np.linalg.norm(at.normal[drawn], axis=1), 1, atol=1e-6)


def test_an_ellipsoid_turns_with_its_own_axes_and_with_the_object() -> None:
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    radii = np.array([1.5, 0.5, 1.0])
    own, whole = canvas(), canvas()
    draw(Ellipsoid(np.zeros(3), radii, RED, axes=quarter), UPRIGHT, own)
    draw(Ellipsoid(np.zeros(3), radii, RED), quarter, whole)
    np.testing.assert_allclose(own.depth, whole.depth)
    rows, columns = np.nonzero(np.isfinite(own.depth))
    assert (rows.min(), rows.max()) == (6, 34)
    assert (columns.min(), columns.max()) == (16, 24)


def test_what_lies_behind_stays_hidden_whichever_is_drawn_first() -> None:
    near, far = sphere(z=1, radius=0.5, paint=RED), sphere(z=-1, radius=1, paint=BLUE)
    for parts in ((near, far), (far, near)):
        at = canvas()
        for part in parts:
            draw(part, UPRIGHT, at)
        np.testing.assert_allclose(at.albedo[20, 20], [1, 0, 0])
        np.testing.assert_allclose(at.albedo[20, 28], [0, 0, 1])
        assert at.depth[20, 20] == pytest.approx(1.5)


def test_a_clipped_ellipsoid_keeps_only_what_the_clip_keeps() -> None:
    at = canvas()
    draw(Ellipsoid(np.zeros(3), np.ones(3), RED, clip=lambda q: q[:, 1] > 0.45), UPRIGHT, at)
    rows, _ = np.nonzero(np.isfinite(at.depth))
    assert rows.max() == 15, "y = 0.5 is the last row above the line"


def test_a_ring_has_a_hole_and_a_disc_has_none() -> None:
    ring, disc = canvas(), canvas()
    size = np.array([1.05, 1.05, 1.0])
    draw(Ring(np.zeros(3), size, RED, hole=0.5), UPRIGHT, ring)
    draw(Ring(np.zeros(3), size, RED, hole=0.0), UPRIGHT, disc)
    assert ring.depth[20, 20] == -np.inf and ring.depth[20, 24] == -np.inf
    assert ring.depth[20, 26] == 0 and ring.depth[20, 28] == 0 and ring.depth[20, 31] == -np.inf
    assert disc.depth[20, 21] == 0
    np.testing.assert_allclose(ring.normal[20, 28], [0, 0, 1])


def test_paint_is_given_points_in_the_objects_own_space() -> None:
    half_turn = np.diag([-1.0, 1.0, -1.0])
    at = canvas()
    sided = Ellipsoid(np.zeros(3), np.ones(3), lambda p: np.where(p[:, :1] > 0, [1.0, 0, 0], [0, 0, 1.0]))
    draw(sided, half_turn, at)
    np.testing.assert_allclose(at.albedo[20, 14], [1, 0, 0])
    np.testing.assert_allclose(at.albedo[20, 26], [0, 0, 1])


def test_soften_blurs_smooth_parts_only_and_keeps_normals_at_length_one() -> None:
    at = canvas()
    draw(Ellipsoid(np.array([-1.0, 0, 0]), np.full(3, 0.8), RED, smooth=True), UPRIGHT, at)
    draw(sphere(x=1, radius=0.8), UPRIGHT, at)
    before = at.normal.copy()
    soften(at, 2.0)
    hard = ~at.smooth
    np.testing.assert_array_equal(at.normal[hard], before[hard])
    assert np.abs(at.normal[at.smooth] - before[at.smooth]).max() > 0.05
    np.testing.assert_allclose(np.linalg.norm(at.normal[at.smooth], axis=1), 1, atol=1e-5)


def test_light_from_the_left_makes_the_left_side_brighter() -> None:
    at = canvas()
    draw(sphere(), UPRIGHT, at)
    lit = shade(at, np.array([-1.0, 0, 0]), 0.3, np.ones(3), 0.0)[..., 0]
    assert lit[20, 14] > lit[20, 20] > 0
    assert lit[20, 26] == pytest.approx(0.3 * (0.65 + 0.35 * 0.5), abs=0.01), "only the sky lights the far side"
