"""Pose clusters as HTML: mean picture with the mean layout, nearest pictures, size, purity; and the pose dial."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from uld_explorer.analysis.poses import PoseProfile
from uld_explorer.data.regions import crop_affines, read_crop
from uld_explorer.types import ImageSet, Landmarks, Regions
from uld_explorer.ui.gallery import mark
from uld_explorer.ui.patches import data_uri, jpeg, thumb
from uld_explorer.ui.theme import colour

MEAN_SIDE = 120
MEAN_OF = 40
"""Pictures that a mean picture is made of, the most typical of its cluster."""
NEAREST = 6
NO_POSES = "This run knows of no poses: D-ULD++ learns them."


def cards(images: ImageSet, regions: Regions, landmarks: Landmarks, profiles: Sequence[PoseProfile], size: int) -> str:
    """One card for every pose cluster. size: the number of pictures in all."""
    body = "".join(_card(images, regions, landmarks, profile, size) for profile in profiles)
    return f'<div class="uld-pose-cards">{body}</div>'


def _card(images: ImageSet, regions: Regions, landmarks: Landmarks, profile: PoseProfile, size: int) -> str:
    share = 100 * len(profile.rows) / max(1, size)
    yaw = ""
    if profile.purity is not None and profile.yaw is not None:
        low, high = profile.yaw
        yaw = f"<div>{100 * profile.purity:.0f} % turned by {low:.0f}° … {high:.0f}°</div>"
    nearest = "".join(_small(images, int(row)) for row in profile.rows[:NEAREST])
    title = f"pose {profile.number + 1}"
    return (
        f'<article class="uld-pose-card" aria-label="{title}"><header>'
        f'<i style="background:{colour(profile.number)}"></i><b>{title}</b> '
        f"<span>{len(profile.rows)} pictures, {share:.0f} %</span></header>"
        f"{_mean(images, regions, landmarks, profile)}{yaw}"
        f'<div class="uld-nearest" aria-label="its most typical pictures">{nearest}</div>'
        f'<button type="button" class="uld-chip" data-pose="{profile.number}">&nbsp;only these</button></article>'
    )


def _small(images: ImageSet, row: int) -> str:
    name = html.escape(images.names[row])
    source = thumb(images, row)
    return (
        f'<button type="button" data-picture="{row}" title="{name}" aria-label="open {name}">'
        f'<img alt="" src="{source}"/></button>'
    )


def _mean(images: ImageSet, regions: Regions, landmarks: Landmarks, profile: PoseProfile) -> str:
    """The mean of the most typical pictures' regions, the mean layout drawn on it."""
    rows = profile.rows[:MEAN_OF]
    source = data_uri(jpeg(Image.fromarray(mean_picture(images.take(rows), regions.take(rows)))))
    side = regions.boxes[rows, 2:].mean(0)
    extent = side / side.max()  # the region inside its square crop
    marks = "".join(
        mark(landmarks.numbers[k], ((1 - extent) / 2 + place * extent) * MEAN_SIDE, 6.0)
        for k, place in enumerate(profile.layout)
        if np.isfinite(place).all()
    )
    return (
        f'<svg viewBox="0 0 {MEAN_SIDE} {MEAN_SIDE}" role="img" aria-label="mean picture of pose {profile.number + 1}">'
        f'<image href="{source}" width="{MEAN_SIDE}" height="{MEAN_SIDE}"/>{marks}</svg>'
    )


def mean_picture(images: ImageSet, regions: Regions) -> np.ndarray:
    """(MEAN_SIDE, MEAN_SIDE, 3) uint8: the mean of the square crops around the regions.

    The files may be smaller copies of the pictures, whose sizes and regions are those of the originals.
    """
    total = np.zeros((MEAN_SIDE, MEAN_SIDE, 3))
    for row, affine in enumerate(crop_affines(regions)):
        total += read_crop(images.paths[row], affine * _shrunk(images.paths[row], images.sizes[row]), MEAN_SIDE)
    return (total / max(1, len(images))).round().astype(np.uint8)


def _shrunk(path: Path, size: np.ndarray) -> float:
    return _width(str(path)) / float(size[0])


@lru_cache(maxsize=4096)
def _width(path: str) -> int:
    with Image.open(path) as image:
        return int(image.width)


# ---------------------------------------------------------------- the dial


def dial(
    images: ImageSet, heat: np.ndarray, rows: Sequence[int] | np.ndarray, layout: np.ndarray, numbers: Sequence[int]
) -> str:
    """What the pose proxy sees at one pose: heat (cells, cells) in 0...1, the mean layout, and the nearest pictures.

    layout (K, 2) in crop units of the upright frame.
    """
    side = 200
    marks = "".join(mark(number, place * side, 7.0) for number, place in zip(numbers, layout, strict=True))
    nearest = "".join(_small(images, int(row)) for row in rows)
    return (
        '<div class="uld-dial"><figure>'
        f'<svg viewBox="0 0 {side} {side}" role="img" aria-label="decoded heat map">'
        f'<image href="{heat_uri(heat)}" width="{side}" height="{side}" preserveAspectRatio="none"/>'
        f'<g opacity="0.55">{marks}</g></svg>'
        "<figcaption>What the pose proxy expects at this pose; the pale numbers are the mean layout of all poses."
        "</figcaption></figure>"
        f'<figure><div class="uld-nearest uld-wide">{nearest}</div>'
        "<figcaption>The pictures whose pose codes are nearest, the chosen one first.</figcaption></figure></div>"
    )


def heat_uri(heat: np.ndarray, alpha: bool = False) -> str:
    """A heat map (h, w) in 0...1 as a picture, from dark violet to yellow; alpha: from nothing to yellow."""
    value = np.clip(heat / max(float(heat.max()), 1e-6), 0, 1)[..., None]
    stops = np.array([[22, 11, 57], [120, 28, 109], [237, 105, 37], [252, 255, 164]], float)
    place = value[..., 0] * (len(stops) - 1)
    low = np.minimum(place.astype(int), len(stops) - 2)
    colours = stops[low] + (place - low)[..., None] * (stops[low + 1] - stops[low])
    pixels = np.concatenate([colours, 255 * (value if alpha else np.ones_like(value))], -1).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return data_uri(buffer.getvalue(), "png")
