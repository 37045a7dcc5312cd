"""One random head as primitives and named surface points. Knows anatomy, nothing about cameras or pictures.

Head space: x to the picture's right when the head looks at the camera, y up, z out of the face; the half height
of a head is about 1. "left" and "right" are the *picture's* sides in the frontal view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uld_explorer.data.heads.hair import beard_mask, hair_parts
from uld_explorer.data.heads.raycast import Ellipsoid, Paint, Primitive, Ring

POINTS = (
    "brow_outer_left",
    "brow_inner_left",
    "brow_inner_right",
    "brow_outer_right",
    "eye_outer_left",
    "eye_inner_left",
    "eye_inner_right",
    "eye_outer_right",
    "pupil_left",
    "pupil_right",
    "nose_bridge",
    "nose_tip",
    "nostril_left",
    "nostril_right",
    "mouth_left",
    "mouth_right",
    "lip_upper",
    "lip_lower",
    "chin",
    "ear_left",
    "ear_right",
)
"""The annotated points, in the order of every array of ground truth."""

SKIN_TONES = np.array(
    [
        [0.96, 0.80, 0.69],
        [0.91, 0.71, 0.56],
        [0.80, 0.58, 0.42],
        [0.65, 0.44, 0.30],
        [0.47, 0.30, 0.20],
        [0.33, 0.21, 0.15],
    ]
)


@dataclass(frozen=True)
class Head:
    """One head in head space.

    parts: what is drawn. points: name -> (3,) position.
    """

    parts: list[Primitive]
    points: dict[str, np.ndarray]


def turn(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Rotation (3, 3), degrees: positive yaw looks to the picture's right, pitch up, roll clockwise in the picture."""
    a, b, c = np.radians([yaw, -pitch, -roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def solid(colour: np.ndarray) -> Paint:
    """The same colour everywhere."""
    return lambda points: np.broadcast_to(colour, points.shape)


def ripple(points: np.ndarray, frequency: float, phase: np.ndarray) -> np.ndarray:
    """Cheap smooth noise (n,) in about -1...1: products of sines in three skewed directions."""
    p = points * frequency
    first = np.sin(p[:, 0] + 1.7 * p[:, 1] + phase[0]) * np.sin(1.3 * p[:, 1] - p[:, 2] + phase[1])
    return first * 0.6 + 0.4 * np.sin(2.1 * p[:, 2] + 1.9 * p[:, 0] - 0.7 * p[:, 1] + phase[2])


@dataclass(frozen=True)
class Traits:
    """The random choices that several parts share."""

    skin: np.ndarray
    hair: np.ndarray
    lips: np.ndarray
    iris: np.ndarray
    width: float
    jaw: float
    eye_x: float
    eye_y: float
    eye_r: float
    eye_open: float
    gaze: np.ndarray
    brow_lift: float
    brow_tilt: float
    nose: float
    mouth_y: float
    mouth_w: float
    smile: float
    mouth_open: float
    beard: float
    moustache: bool
    freckles: float
    phase: np.ndarray


def sample_traits(rng: np.random.Generator) -> Traits:
    """Draw a person: proportions, colours and expression."""
    tone = rng.uniform(0, len(SKIN_TONES) - 1.001)
    low = int(tone)
    skin = SKIN_TONES[low] + (tone - low) * (SKIN_TONES[low + 1] - SKIN_TONES[low])
    hairs = np.array(
        [
            [0.08, 0.06, 0.05],
            [0.22, 0.13, 0.08],
            [0.45, 0.28, 0.13],
            [0.78, 0.62, 0.36],
            [0.6, 0.6, 0.6],
            [0.5, 0.16, 0.06],
        ]
    )
    irises = np.array([[0.25, 0.14, 0.06], [0.2, 0.4, 0.6], [0.3, 0.42, 0.25], [0.1, 0.07, 0.05]])
    bearded = rng.random() < 0.25
    return Traits(
        skin=np.clip(skin + rng.normal(0, 0.02, 3), 0.1, 1),
        hair=np.clip(hairs[rng.integers(len(hairs))] + rng.normal(0, 0.03, 3), 0.02, 1),
        lips=np.clip(skin * np.array([0.95, 0.62, 0.6]) + rng.normal(0, 0.04, 3), 0, 1),
        iris=np.clip(irises[rng.integers(len(irises))] + rng.normal(0, 0.04, 3), 0, 1),
        width=rng.uniform(0.9, 1.08),
        jaw=rng.uniform(0.88, 1.12),
        eye_x=rng.uniform(0.26, 0.33),
        eye_y=rng.uniform(0.0, 0.1),
        eye_r=rng.uniform(0.125, 0.16),
        eye_open=rng.uniform(0.25, 1.0),
        gaze=rng.normal(0, 0.22, 2),
        brow_lift=rng.uniform(-0.03, 0.08),
        brow_tilt=rng.normal(0, 9),
        nose=rng.uniform(0.8, 1.25),
        mouth_y=rng.uniform(-0.56, -0.48),
        mouth_w=rng.uniform(0.2, 0.3),
        smile=rng.normal(0.2, 0.5),
        mouth_open=max(0.0, rng.normal(0.0, 0.06)),
        beard=float(rng.uniform(0.4, 1.0)) if bearded else 0.0,
        moustache=bool(bearded and rng.random() < 0.7),
        freckles=float(rng.uniform(0, 0.12)) if rng.random() < 0.3 else 0.0,
        phase=rng.uniform(0, 6.28, 3),
    )


def skin_paint(t: Traits) -> Paint:
    """Skin with warm cheeks, freckles, lips, mouth and beard painted by position, so that they follow the surface."""

    def paint(p: np.ndarray) -> np.ndarray:
        front = (p[:, 2] > 0.2)[:, None]
        warm = np.exp(-(((np.abs(p[:, 0]) - 0.36) / 0.2) ** 2) - ((p[:, 1] + 0.25) / 0.2) ** 2)[:, None]
        colour = t.skin * (1 + 0.05 * ripple(p, 4.0, t.phase)[:, None])
        colour = colour + front * warm * np.array([0.06, -0.02, -0.02])
        spots = ripple(p, 45.0, t.phase)[:, None] > 0.75
        colour = colour - t.freckles * spots * (np.abs(p[:, 1:2] + 0.15) < 0.3) * front
        growth = t.beard * beard_mask(p, t.mouth_y, t.mouth_w, t.moustache)[:, None]
        colour = colour + growth * (t.hair * (0.8 + 0.4 * (ripple(p, 40.0, t.phase) > 0)[:, None]) - colour)
        return np.clip(_mouth(p, t, colour), 0.02, 1)

    return paint


def _mouth(p: np.ndarray, t: Traits, colour: np.ndarray) -> np.ndarray:
    across = p[:, 0] / t.mouth_w
    middle = t.mouth_y + 0.09 * t.smile * across**2
    profile = np.sqrt(np.clip(1 - across**2, 0, 1))
    height = p[:, 1] - middle
    lips = (np.abs(height + 0.01) < (0.06 + t.mouth_open) * profile) & (p[:, 2] > 0.2)
    gap = (np.abs(height) < (0.008 + t.mouth_open * 0.75) * profile) & (p[:, 2] > 0.2)
    teeth = gap & (height > 0.1 * t.mouth_open) & (t.mouth_open > 0.05)
    colour = np.where(lips[:, None], t.lips, colour)
    colour = np.where(gap[:, None], np.array([0.18, 0.05, 0.05]), colour)
    return np.where(teeth[:, None], np.array([0.92, 0.9, 0.86]), colour)


NOSE_TIP = 7
"""Where `face_parts` puts the tip of the nose."""


def face_parts(t: Traits) -> list[Ellipsoid]:
    """Skull, jaw, cheeks, brow ridge, chin and nose, all skin."""
    skin = skin_paint(t)

    def lump(x: float, y: float, z: float, rx: float, ry: float, rz: float, pitch: float = 0.0) -> Ellipsoid:
        axes = turn(pitch=pitch) if pitch else None
        center = np.array([x * t.width, y, z])
        return Ellipsoid(center, np.array([rx * t.width, ry, rz]), skin, axes, smooth=True)

    n = t.nose
    parts = [
        lump(0, 0.28, -0.12, 0.77, 0.78, 0.92),
        lump(0, 0.0, -0.02, 0.72, 0.8, 0.8),
        lump(0, -0.22, 0.1, 0.62 * t.jaw, 0.84, 0.72),
        lump(0, -0.88, 0.42, 0.24 * t.jaw, 0.17, 0.22),
        lump(0, 0.2, 0.6, 0.46, 0.12, 0.2),
        lump(0, t.mouth_y, 0.66, 0.27, 0.14, 0.13),
        lump(0, -0.03, 0.76, 0.085, 0.32, 0.13, pitch=14),
        lump(0, -0.27, 0.85 + 0.05 * n, 0.12 * n, 0.1, 0.13 * n),
    ]
    for side in (-1, 1):
        parts.append(lump(side * 0.3, -0.25, 0.42, 0.31, 0.34, 0.25))
        parts.append(lump(side * 0.115 * n, -0.31, 0.83, 0.075 * n, 0.065, 0.1))
    return parts


def eye_parts(t: Traits, side: int) -> list[Primitive]:
    """Eyeball with iris, pupil and glint, two lids, and a brow. side -1 is the picture's left."""
    center = np.array([side * t.eye_x * t.width, t.eye_y, 0.6])
    look = np.array([t.gaze[0], t.gaze[1] * 0.6, 1.0])
    look /= np.linalg.norm(look)

    def ball(p: np.ndarray) -> np.ndarray:
        angle = ((p - center) / t.eye_r) @ look
        colour = np.where((angle > 0.8)[:, None], t.iris, np.array([0.93, 0.92, 0.9]))
        return np.where((angle > 0.95)[:, None], 0.03, colour)

    def lid(p: np.ndarray) -> np.ndarray:
        return np.broadcast_to(t.skin * 0.9, p.shape)

    upper, lower = 0.1 + 0.45 * t.eye_open, -(0.15 + 0.3 * t.eye_open)
    shell = np.full(3, t.eye_r * 1.1)
    brow_axes = turn(roll=-side * (8 + t.brow_tilt))
    brow_at = np.array([side * (t.eye_x + 0.02) * t.width, t.eye_y + 0.22 + t.brow_lift, 0.7])
    return [
        Ellipsoid(center, np.full(3, t.eye_r), ball, gloss=0.8),
        Ellipsoid(center, shell, lid, clip=lambda q: q[:, 1] > upper * (1 - 0.9 * q[:, 0] ** 2)),
        Ellipsoid(center, shell, lid, clip=lambda q: q[:, 1] < lower * (1 - 0.9 * q[:, 0] ** 2)),
        Ellipsoid(brow_at, np.array([0.18, 0.035, 0.08]), solid(t.hair * 0.8), brow_axes),
    ]


def ear_part(t: Traits, side: int) -> Ellipsoid:
    """An ear with a darker shell inside."""
    center = np.array([side * 0.76 * t.width, -0.02, -0.1])
    axes = turn(yaw=side * 25)

    def paint(p: np.ndarray) -> np.ndarray:
        q = (p - center) @ axes
        inner = np.exp(-((q[:, 1] / 0.12) ** 2) - ((q[:, 2] - 0.02) / 0.07) ** 2)[:, None]
        return t.skin * (1 - 0.45 * inner) * np.array([1.0, 0.94, 0.92])

    return Ellipsoid(center, np.array([0.09, 0.23, 0.15]), paint, axes)


def glasses(t: Traits, rng: np.random.Generator) -> list[Primitive]:
    """Two rims (or dark lenses), a bridge and two temples."""
    frame = solid(np.array([0.06, 0.06, 0.07]) if rng.random() < 0.6 else rng.uniform(0.1, 0.7, 3))
    dark = rng.random() < 0.25
    size = np.array([rng.uniform(0.19, 0.23), rng.uniform(0.14, 0.19), 1.0])
    parts: list[Primitive] = []
    for side in (-1, 1):
        x = side * t.eye_x * t.width
        parts.append(Ring(np.array([x, t.eye_y, 0.84]), size, frame, turn(yaw=side * 6), hole=0.0 if dark else 0.84))
        hinge = np.array([side * 0.62 * t.width, t.eye_y + 0.05, 0.35])
        parts.append(Ellipsoid(hinge, np.array([0.03, 0.025, 0.5]), frame, turn(yaw=-side * 14), gloss=0.5))
    parts.append(Ellipsoid(np.array([0, t.eye_y + 0.03, 0.86]), np.array([0.12, 0.022, 0.03]), frame))
    return parts


def body_parts(t: Traits, rng: np.random.Generator) -> list[Primitive]:
    """Neck and clothed shoulders."""
    cloth, other = rng.uniform(0.05, 0.95, 3), rng.uniform(0.05, 0.95, 3)
    stripes = rng.uniform(4, 14) if rng.random() < 0.4 else 0.0

    def wear(p: np.ndarray) -> np.ndarray:
        band = (np.sin(p[:, 1] * stripes + p[:, 0] * stripes * 0.3) > 0.2) & (stripes > 0)
        return np.where(band[:, None], other, cloth)

    return [
        Ellipsoid(np.array([0, -1.15, -0.2]), np.array([0.42, 0.75, 0.42]), solid(t.skin * 0.92)),
        Ellipsoid(np.array([0, -2.15, -0.25]), np.array([1.5, 0.75, 0.65]), wear, gloss=0.03),
    ]


def _surface(parts: list[Ellipsoid], x: float, y: float) -> np.ndarray:
    """The frontmost point of `parts` on the line through (x, y) along z, in head space."""
    best = -np.inf
    for part in parts:
        axes = np.eye(3) if part.axes is None else part.axes
        quadric = (axes / part.radii**2) @ axes.T
        d = np.array([x, y]) - part.center[:2]
        half_b = quadric[:2, 2] @ d
        disc = half_b**2 - quadric[2, 2] * (d @ quadric[:2, :2] @ d - 1)
        if disc > 0:
            best = max(best, part.center[2] + (-half_b + np.sqrt(disc)) / quadric[2, 2])
    return np.array([x, y, best])


def surface_points(t: Traits, face: list[Ellipsoid]) -> dict[str, np.ndarray]:
    """Every point of POINTS on the surface, in head space."""
    points: dict[str, np.ndarray] = {}
    for side, name in ((-1, "left"), (1, "right")):
        eye = np.array([side * t.eye_x * t.width, t.eye_y, 0.6])
        look = np.array([t.gaze[0], t.gaze[1] * 0.6, 1.0])
        points[f"pupil_{name}"] = eye + look / np.linalg.norm(look) * t.eye_r * 1.02
        for where, x in (("outer", side), ("inner", -side)):
            points[f"eye_{where}_{name}"] = eye + t.eye_r * np.array([x * 0.85, 0.0, 0.62])
        brow = np.array([side * (t.eye_x + 0.02) * t.width, t.eye_y + 0.22 + t.brow_lift, 0.7])
        axes = turn(roll=-side * (8 + t.brow_tilt))
        points[f"brow_outer_{name}"] = brow + axes @ np.array([side * 0.16, 0, 0.04])
        points[f"brow_inner_{name}"] = brow + axes @ np.array([-side * 0.16, 0, 0.04])
        points[f"nostril_{name}"] = _surface(face, side * 0.14 * t.nose * t.width, -0.33)
        points[f"mouth_{name}"] = _surface(face, side * t.mouth_w, t.mouth_y + 0.09 * t.smile)
        points[f"ear_{name}"] = np.array([side * 0.84 * t.width, -0.02, -0.1])
    points["nose_bridge"] = _surface(face, 0, t.eye_y + 0.05)
    tip = face[NOSE_TIP]
    points["nose_tip"] = tip.center + np.array([0, 0, tip.radii[2]])
    points["lip_upper"] = _surface(face, 0, t.mouth_y + 0.05 + t.mouth_open)
    points["lip_lower"] = _surface(face, 0, t.mouth_y - 0.07 - t.mouth_open)
    points["chin"] = _surface(face, 0, -0.95)
    return points


def sample_head(rng: np.random.Generator) -> Head:
    """Draw one head. Everything random comes from `rng`."""
    traits = sample_traits(rng)
    face = face_parts(traits)
    ears = [ear_part(traits, -1), ear_part(traits, 1)]
    parts: list[Primitive] = [*body_parts(traits, rng), *face, *ears]
    parts += eye_parts(traits, -1) + eye_parts(traits, 1)
    parts += hair_parts(traits.hair, traits.width, rng)
    if rng.random() < 0.22:
        parts += glasses(traits, rng)
    return Head(parts, surface_points(traits, face))
