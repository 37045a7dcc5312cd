"""A small deferred ray-caster for ellipsoids and rings. Knows geometry and light, nothing about heads.

Rays are parallel (weak perspective) and run along -z in camera space, so each primitive is one quadratic per
pixel inside its own bounding box. Camera space: x right, y *up*, z towards the viewer; unit = the caller's unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

Paint = Callable[[np.ndarray], np.ndarray]
Clip = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Ellipsoid:
    """center (3,), radii (3,), axes (3, 3) with the local axes as columns, all in object space.

    paint: object-space points (n, 3) -> colours (n, 3) in 0...1. clip: local unit-sphere points (n, 3) -> keep (n,).
    smooth: its normals are blurred together with those of other smooth parts, which hides the seams of skin.
    """

    center: np.ndarray
    radii: np.ndarray
    paint: Paint
    axes: np.ndarray | None = None
    clip: Clip | None = None
    gloss: float = 0.1
    smooth: bool = False


@dataclass(frozen=True)
class Ring:
    """A flat elliptical ring facing the object's +z axis after `axes`.

    hole is the inner share of the radii, 0 = a disc.
    """

    center: np.ndarray
    radii: np.ndarray
    paint: Paint
    axes: np.ndarray | None = None
    hole: float = 0.8
    gloss: float = 0.6
    smooth: bool = False


Primitive = Ellipsoid | Ring


@dataclass
class Canvas:
    """Geometry buffers over an n x n grid: depth (-inf where empty), normal, albedo, gloss and smooth masks."""

    xs: np.ndarray
    ys: np.ndarray
    depth: np.ndarray
    normal: np.ndarray
    albedo: np.ndarray
    gloss: np.ndarray
    smooth: np.ndarray

    @classmethod
    def empty(cls, xs: np.ndarray, ys: np.ndarray) -> Canvas:
        """Nothing drawn yet; xs and ys are camera coordinates of the pixel centres (ys falls from row to row)."""
        shape = (len(ys), len(xs))
        return cls(
            xs,
            ys,
            np.full(shape, -np.inf, np.float32),
            np.zeros((*shape, 3), np.float32),
            np.zeros((*shape, 3), np.float32),
            np.zeros(shape, np.float32),
            np.zeros(shape, bool),
        )


def _window(canvas: Canvas, center: np.ndarray, extent: np.ndarray) -> tuple[slice, slice]:
    columns = np.searchsorted(canvas.xs, [center[0] - extent[0], center[0] + extent[0]])
    rows = np.searchsorted(-canvas.ys, [-(center[1] + extent[1]), -(center[1] - extent[1])])
    return slice(rows[0], rows[1]), slice(columns[0], columns[1])


def _ellipsoid_hits(
    part: Ellipsoid, rotation: np.ndarray, canvas: Canvas
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Window, depth there (-inf where missed), and unnormalised normals, in camera space."""
    axes = rotation if part.axes is None else rotation @ part.axes
    center = rotation @ part.center
    spread = axes * part.radii
    extent = np.sqrt((spread**2).sum(1))
    window = _window(canvas, center, extent)
    quadric = (axes / part.radii**2) @ axes.T
    dx = (canvas.xs[window[1]] - center[0])[None, :]
    dy = (canvas.ys[window[0]] - center[1])[:, None]
    half_b = quadric[0, 2] * dx + quadric[1, 2] * dy
    rest = quadric[0, 0] * dx**2 + 2 * quadric[0, 1] * dx * dy + quadric[1, 1] * dy**2 - 1
    disc = half_b**2 - quadric[2, 2] * rest
    hit = disc > 0
    dz = np.where(hit, (-half_b + np.sqrt(np.maximum(disc, 0))) / quadric[2, 2], -np.inf)
    offset = np.stack(np.broadcast_arrays(dx, dy, np.where(hit, dz, 0)), -1)
    depth = np.where(hit, dz + center[2], -np.inf)
    if part.clip is not None and hit.any():
        local = offset[hit] @ axes / part.radii
        depth[hit] = np.where(part.clip(local), depth[hit], -np.inf)
    return window, depth, offset @ quadric


def _ring_hits(part: Ring, rotation: np.ndarray, canvas: Canvas) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    axes = rotation if part.axes is None else rotation @ part.axes
    center = rotation @ part.center
    normal = axes[:, 2] * np.sign(axes[2, 2] or 1.0)
    window = _window(canvas, center, np.sqrt(((axes[:, :2] * part.radii[:2]) ** 2).sum(1)) + 1e-3)
    dx = (canvas.xs[window[1]] - center[0])[None, :]
    dy = (canvas.ys[window[0]] - center[1])[:, None]
    dz = -(normal[0] * dx + normal[1] * dy) / max(normal[2], 0.05)
    offset = np.stack(np.broadcast_arrays(dx, dy, dz), -1)
    local = offset @ axes[:, :2] / part.radii[:2]
    radius = (local**2).sum(-1)
    hit = (radius < 1) & (radius > part.hole**2)
    return window, np.where(hit, dz + center[2], -np.inf), np.broadcast_to(normal, offset.shape)


def draw(part: Primitive, rotation: np.ndarray, canvas: Canvas) -> None:
    """Draw one primitive, turned by `rotation` (object -> camera, (3, 3)), wherever it is nearest so far."""
    hits = (
        _ellipsoid_hits(part, rotation, canvas) if isinstance(part, Ellipsoid) else _ring_hits(part, rotation, canvas)
    )
    window, depth, normal = hits
    front = depth > canvas.depth[window]
    if not front.any():
        return
    rows, columns = np.nonzero(front)
    points = np.stack([canvas.xs[window[1]][columns], canvas.ys[window[0]][rows], depth[front]], -1)
    unit = normal[front]
    canvas.normal[window][front] = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    canvas.albedo[window][front] = part.paint(points @ rotation)
    canvas.depth[window][front] = depth[front]
    canvas.gloss[window][front] = part.gloss
    canvas.smooth[window][front] = part.smooth


def soften(canvas: Canvas, sigma: float) -> None:
    """Blur the normals of smooth parts among themselves (normalised convolution), sigma in pixels."""
    weight = gaussian_filter(canvas.smooth.astype(np.float32), sigma, truncate=2.0)
    masked = canvas.normal * canvas.smooth[..., None]
    blurred = np.stack([gaussian_filter(masked[..., i], sigma, truncate=2.0) for i in range(3)], -1)
    blurred /= np.maximum(np.linalg.norm(blurred, axis=-1, keepdims=True), 1e-6)
    use = canvas.smooth & (weight > 1e-3)
    canvas.normal[use] = blurred[use]


def shade(canvas: Canvas, light: np.ndarray, ambient: float, tint: np.ndarray, fill: float) -> np.ndarray:
    """Colours (n, n, 3): Lambert from one light, a sky brighter above, a fill from the camera, and a highlight."""
    normal = canvas.normal
    lambert = np.maximum(normal @ light.astype(np.float32), 0)
    sky = 0.5 + 0.5 * normal[..., 1]
    level = ambient * (0.65 + 0.35 * sky) + (1 - ambient) * lambert + fill * np.maximum(normal[..., 2], 0)
    halfway = light + np.array([0, 0, 1.0])
    halfway = (halfway / np.linalg.norm(halfway)).astype(np.float32)
    highlight = np.maximum(normal @ halfway, 0) ** 24 * canvas.gloss
    return canvas.albedo * level[..., None] * tint + highlight[..., None]
