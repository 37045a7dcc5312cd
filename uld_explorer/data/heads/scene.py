"""A head before a camera: pose, light, background, things in the way, and the exact ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from uld_explorer.data.heads.anatomy import POINTS, Head, sample_head, solid, turn
from uld_explorer.data.heads.raycast import Canvas, Ellipsoid, Primitive, draw, shade, soften

VISIBLE_TOLERANCE = 0.07
"""How far behind the drawn surface, in head units, a point may lie and still count as seen."""


@dataclass(frozen=True)
class RenderedHead:
    """A picture and its ground truth.

    image (S, S, 3) uint8; xy (P, 2) pixels; visible (P,) bool; box (4,) x, y, w, h pixels; yaw, pitch, roll degrees.
    """

    image: np.ndarray
    xy: np.ndarray
    visible: np.ndarray
    box: np.ndarray
    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True)
class Camera:
    """Weak perspective. rotation (3, 3) from head to camera space; scale pixels a head unit; origin (2,) pixels."""

    rotation: np.ndarray
    scale: float
    origin: np.ndarray


@dataclass(frozen=True)
class RenderedView:
    """A picture of a head whose surface is known, for whoever follows it from one view to the next.

    image (S, S, 3) uint8; depth (S, S) head units towards the viewer, -inf at the background; camera.
    """

    image: np.ndarray
    depth: np.ndarray
    camera: Camera


def render_head(seed: int, index: int, size: int = 128, max_yaw: float = 90.0) -> RenderedHead:
    """Head number `index` of the endless series `seed`; the same at every `size` (pixels, >= 16).

    Yaw is uniform in -max_yaw...max_yaw, pitch and roll are normal with 12 and 10 degrees.
    """
    rng = np.random.default_rng([seed, index])
    yaw, pitch, roll = _draw_pose(rng, max_yaw)
    head = sample_head(rng)
    canvas, camera = _expose(head, turn(yaw, pitch, roll), rng, size)
    xy, visible = _project(head, camera, canvas, size)
    image = _develop(canvas, rng, size)
    return RenderedHead(image, xy, visible, _box(xy), yaw, pitch, roll)


def render_view(seed: int, index: int, view: int, size: int = 128, max_yaw: float = 90.0) -> RenderedView:
    """View number `view` of one head: the same person and expression, another pose, light and background."""
    head = sample_head(np.random.default_rng([seed, index]))
    rng = np.random.default_rng([seed, index, view])
    canvas, camera = _expose(head, turn(*_draw_pose(rng, max_yaw)), rng, size)
    return RenderedView(_develop(canvas, rng, size), canvas.depth[::2, ::2].copy(), camera)


def _draw_pose(rng: np.random.Generator, max_yaw: float) -> tuple[float, float, float]:
    return rng.uniform(-max_yaw, max_yaw), rng.normal(0, 12), rng.normal(0, 10)


def _expose(head: Head, rotation: np.ndarray, rng: np.random.Generator, size: int) -> tuple[Canvas, Camera]:
    """The head's geometry before a camera of random place and distance, at times with something in the way."""
    camera = Camera(rotation, size * rng.uniform(0.29, 0.37), size * (0.5 + rng.uniform(-0.07, 0.07, 2)))
    occluder = _occluder(rng, rotation) if rng.random() < 0.15 else []
    return _trace(head.parts + occluder, camera, size), camera


def _trace(parts: list[Primitive], camera: Camera, size: int) -> Canvas:
    """Geometry at twice the size, which `_develop` averages down: smooth edges."""
    grid = (np.arange(2 * size) + 0.5) / 2
    canvas = Canvas.empty((grid - camera.origin[0]) / camera.scale, -(grid - camera.origin[1]) / camera.scale)
    for part in parts:
        draw(part, camera.rotation, canvas)
    soften(canvas, sigma=0.035 * camera.scale * 2)
    return canvas


def _develop(canvas: Canvas, rng: np.random.Generator, size: int) -> np.ndarray:
    """Light, background, camera: (S, S, 3) uint8. Draws the same random numbers at every size."""
    angle, height = rng.uniform(-1.2, 1.2), rng.uniform(-0.2, 0.9)
    light = np.array([np.sin(angle), height, 0.35 + np.cos(angle)])
    tint = 1 + rng.normal(0, 0.05, 3)
    lit = shade(canvas, light / np.linalg.norm(light), rng.uniform(0.3, 0.6), tint, rng.uniform(0.1, 0.3))
    lit = np.where(np.isfinite(canvas.depth)[..., None], lit, _background(rng, 2 * size))
    lit = lit.reshape(size, 2, size, 2, 3).mean((1, 3)) * rng.uniform(0.8, 1.2)
    blur = rng.uniform(0, 0.006) * size
    lit = gaussian_filter(lit, (blur, blur, 0)) if blur > 0.25 else lit
    grain, noise_seed = rng.uniform(0, 0.03), rng.integers(2**31)
    lit = lit + grain * np.random.default_rng(noise_seed).standard_normal((size, size, 1))
    return (np.clip(lit, 0, 1) ** rng.uniform(0.8, 1.1) * 255 + 0.5).astype(np.uint8)


def _background(rng: np.random.Generator, n: int) -> np.ndarray:
    """A gradient with a few soft blobs or bands."""
    y, x = np.mgrid[0:n, 0:n].astype(np.float32) / n
    a, b = rng.uniform(0.05, 0.95, 3), rng.uniform(0.05, 0.95, 3)
    theta = rng.uniform(0, 6.28)
    ramp = np.clip(0.5 + (x - 0.5) * np.cos(theta) + (y - 0.5) * np.sin(theta), 0, 1)[..., None]
    out = a + ramp * (b - a)
    for _ in range(rng.integers(0, 7)):
        cx, cy, r = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.05, 0.35)
        soft, colour = rng.uniform(2, 12), rng.uniform(0, 1, 3)
        distance = np.abs(x - cx) + 0 * y if rng.random() < 0.3 else np.hypot(x - cx, y - cy)
        out = out + (colour - out) * (0.7 / (1 + np.exp(np.clip((distance / r - 1) * soft, -30, 30))))[..., None]
    return out


def _occluder(rng: np.random.Generator, rotation: np.ndarray) -> list[Primitive]:
    """A hand-like row of fingers, or a ball, held between the head and the camera."""
    to_head = rotation.T
    at = np.array([rng.uniform(-0.9, 0.9), rng.uniform(-1.1, 0.6), 1.25])
    if rng.random() < 0.4:
        return [Ellipsoid(to_head @ at, np.full(3, rng.uniform(0.12, 0.3)), solid(rng.uniform(0, 1, 3)), gloss=0.4)]
    skin = solid(rng.uniform(0.3, 0.95) * np.array([1.0, 0.75, 0.6]))
    lean = turn(roll=rng.uniform(-60, 60))
    fingers = [at + lean @ np.array([0.13 * i, 0.02 * (i - 1.5) ** 2, 0]) for i in range(4)]
    shape = np.array([0.065, 0.32, 0.07])
    return [Ellipsoid(to_head @ f, shape, skin, to_head @ lean, smooth=True) for f in fingers]


def _project(head: Head, camera: Camera, canvas: Canvas, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture positions (P, 2) and visibility (P,): in the picture and not behind the drawn surface."""
    points = np.stack([head.points[name] for name in POINTS]) @ camera.rotation.T
    xy = camera.origin + camera.scale * points[:, :2] * np.array([1, -1])
    cell = np.clip((xy * 2).astype(int), 0, 2 * size - 1)
    surface = canvas.depth[cell[:, 1], cell[:, 0]]
    inside = ((xy >= 0) & (xy < size)).all(1)
    return xy, inside & (points[:, 2] > surface - VISIBLE_TOLERANCE)


def _box(xy: np.ndarray) -> np.ndarray:
    """The tight box of all points, hidden ones too, as in data sets whose boxes come from their points."""
    return np.hstack([xy.min(0), np.ptp(xy, axis=0)])
