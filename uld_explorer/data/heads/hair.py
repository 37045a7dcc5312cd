"""Hair styles and beards for the rendered heads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uld_explorer.data.heads.raycast import Ellipsoid, Paint, Primitive


def beard_mask(p: np.ndarray, mouth_y: float, mouth_w: float, moustache: bool) -> np.ndarray:
    """Share of beard (n,) in 0...1 at head-space points: jaw and chin without the lips, perhaps with a moustache."""
    jaw = (p[:, 1] < mouth_y + 0.12 * np.abs(p[:, 0]) / 0.5 - 0.02) & (p[:, 1] > -1.1) & (p[:, 2] > -0.05)
    cheek = (np.abs(p[:, 0]) > 0.42) & (p[:, 1] < -0.1) & (p[:, 2] > 0.0) & (p[:, 2] < 0.45)
    lip = (np.abs(p[:, 1] - mouth_y - 0.1) < 0.045) & (np.abs(p[:, 0]) < mouth_w) & (p[:, 2] > 0.5) & moustache
    near_lips = (np.abs(p[:, 1] - mouth_y) < 0.075) & (np.abs(p[:, 0]) < mouth_w * 1.05)
    return ((jaw | cheek) & ~near_lips | lip).astype(float)


def _strands(colour: np.ndarray, rng: np.random.Generator) -> Paint:
    wave, phase = rng.uniform(18, 40), rng.uniform(0, 6.28)
    curl = rng.uniform(0, 3)

    def paint(p: np.ndarray) -> np.ndarray:
        strand = np.sin(wave * np.arctan2(p[:, 0], p[:, 2] + 0.1) + curl * np.sin(5 * p[:, 1]) + phase)
        lock = np.sin(5 * p[:, 0] + 4 * p[:, 2] + phase)
        return np.clip(colour * (1 + 0.28 * strand + 0.12 * lock)[:, None], 0.01, 1)

    return paint


def _cap(line: float, slope: float, parting: float) -> Callable[[np.ndarray], np.ndarray]:
    """Keep the part of a cap above a hairline that rises from the neck to the forehead."""

    def keep(q: np.ndarray) -> np.ndarray:
        fringe = 0.06 * np.sin(9 * q[:, 0] + parting)
        return q[:, 1] > line + slope * np.maximum(q[:, 2], -0.4) + fringe * (q[:, 2] > 0)

    return keep


def hair_parts(colour: np.ndarray, width: float, rng: np.random.Generator) -> list[Primitive]:
    """One of seven styles: bald, buzz cut, short, fringe, long, bun, afro; or a hat on top."""
    style = rng.choice(
        ["bald", "buzz", "short", "fringe", "long", "bun", "afro", "hat"],
        p=[0.08, 0.1, 0.24, 0.12, 0.24, 0.08, 0.06, 0.08],
    )
    paint = _strands(colour, rng)
    center, parting = np.array([0, 0.3, -0.14]), rng.uniform(0, 6.28)

    def cap(grow: float, line: float, slope: float, colouring: Paint = paint, gloss: float = 0.12) -> Ellipsoid:
        radii = np.array([0.79 * width, 0.82, 0.94]) + grow
        return Ellipsoid(center, radii, colouring, clip=_cap(line, slope, parting), gloss=gloss)

    if style == "bald":
        return []
    if style == "buzz":
        return [cap(0.01, rng.uniform(0.0, 0.1), rng.uniform(0.42, 0.55))]
    if style == "afro":
        size = rng.uniform(0.16, 0.32)
        return [cap(size * share, 0.02 + 0.04 * (1 - share), 0.6) for share in (0.15, 0.4, 0.7, 1.0)]
    if style == "hat":
        cloth = rng.uniform(0.05, 0.9, 3)

        def wear(p: np.ndarray) -> np.ndarray:
            return cloth * (0.85 + 0.15 * np.sign(np.sin(30 * p[:, 1:2])))

        return [cap(0.03, 0.05, 0.4), cap(0.09, rng.uniform(0.22, 0.34), 0.2, wear, 0.02)]
    grow, line, slope = rng.uniform(0.05, 0.1), rng.uniform(-0.2, 0.0), rng.uniform(0.5, 0.72)
    parts: list[Primitive] = [cap(grow * share, line, slope) for share in (0.3, 1.0)]
    if style == "fringe":
        parts.append(cap(0.08, rng.uniform(0.18, 0.28), 0.1))
    if style == "bun":
        parts.append(Ellipsoid(np.array([0, 0.95, -0.75]), np.full(3, rng.uniform(0.2, 0.32)), paint))
    if style == "long":
        parts += _long(paint, width, rng)
    return parts


def _long(paint: Paint, width: float, rng: np.random.Generator) -> list[Primitive]:
    length = rng.uniform(0.6, 1.15)
    back = Ellipsoid(np.array([0, -0.35, -0.5]), np.array([0.8 * width, length + 0.25, 0.5]), paint)
    sides: list[Primitive] = [
        Ellipsoid(np.array([s * 0.74 * width, -0.35, -0.16]), np.array([0.17, length, 0.3]), paint)
        for s in (-1, 1)
        if rng.random() < 0.85
    ]
    return [back, *sides]
