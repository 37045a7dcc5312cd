"""Augmented views of pictures: similarities and mirrorings of a crop, known exactly, and changes of colour.

Knows geometry and pixels, not features. A view is another square crop of the same picture, so nothing is resampled
twice; in crop units, view 0 runs from (0, 0) to (1, 1), and `transforms` map its points to those of each view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from uld_explorer.data.regions import id_words
from uld_explorer.types import ImageSet


@dataclass(frozen=True)
class ViewRanges:
    """How far views may differ from the picture. Ranges of the self-training framework (thesis, chapter 6).

    rotation  degrees, uniform in plus or minus this
    scale     the object's size in the view, uniform between these
    shift     share of the crop, uniform in plus or minus this, along both axes
    """

    rotation: float = 40.0
    scale: tuple[float, float] = (0.8, 1.2)
    shift: float = 0.05


@dataclass(frozen=True)
class Views:
    """V views of each of N pictures, view 0 being the crop itself.

    transforms  (N, V, 2, 3) crop units of view 0 -> crop units of the view
    mirrored    (N, V) bool
    """

    transforms: np.ndarray
    mirrored: np.ndarray


def draw_views(ids: tuple[str, ...], count: int, ranges: ViewRanges, seed: int) -> Views:
    """`count` views of every picture, the first untouched and from then on every second one mirrored.

    Seeded by each picture's id, so that a picture's views do not depend on its place in the set.
    """
    transforms = np.tile(np.eye(2, 3), (len(ids), count, 1, 1))
    mirrored = np.tile(np.arange(count) % 2 == 0, (len(ids), 1))
    mirrored[:, 0] = False
    for row, name in enumerate(ids):
        rng = np.random.default_rng([seed, 17, *id_words(name)])
        angle = np.radians(rng.uniform(-ranges.rotation, ranges.rotation, count))
        scale = rng.uniform(*ranges.scale, count)
        shift = rng.uniform(-ranges.shift, ranges.shift, (count, 2))
        for view in range(1, count):
            transforms[row, view] = _similarity(angle[view], scale[view], shift[view], bool(mirrored[row, view]))
    return Views(transforms, mirrored)


def _similarity(angle: float, scale: float, shift: np.ndarray, mirrored: bool) -> np.ndarray:
    """(2, 3): turn and scale about the crop's centre, mirror left and right where asked, then shift."""
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        linear = linear @ np.diag([-1.0, 1.0])
    return np.column_stack([linear, 0.5 + shift - linear @ np.full(2, 0.5)])


def invert(transforms: np.ndarray) -> np.ndarray:
    """The inverse of affine maps (..., 2, 3)."""
    linear = np.linalg.inv(transforms[..., :2])
    return np.concatenate([linear, -linear @ transforms[..., 2:]], -1)


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Affine maps (..., 2, 3): first `inner`, then `outer`."""
    return np.concatenate([outer[..., :2] @ inner[..., :2], outer[..., :2] @ inner[..., 2:] + outer[..., 2:]], -1)


def view_pictures(images: ImageSet, views: Views) -> ImageSet:
    """The pictures repeated V times each, view after view, with ids of their own: other views get other noise."""
    count = views.mirrored.shape[1]
    repeated = images.take(np.repeat(np.arange(len(images)), count))
    ids = tuple(name if v == 0 else f"{name}~view{v}" for name in images.ids for v in range(count))
    return ImageSet(ids, repeated.names, repeated.paths, repeated.sizes, (), None, images.label)


def view_affines(affines: np.ndarray, views: Views) -> np.ndarray:
    """(N * V, 2, 3): crop units of each view -> pixels of the original picture; affines (N, 2, 3) are view 0's."""
    return compose(affines[:, None], invert(views.transforms)).reshape(-1, 2, 3)


def tint(crop: np.ndarray, name: str) -> np.ndarray:
    """The crop (S, S, 3) uint8 with other brightness, contrast, saturation and sharpness, seeded by the view's id.

    An id without "~view" is left as it is. Ranges of the self-training framework (thesis, chapter 6).
    """
    if "~view" not in name:
        return crop
    rng = np.random.default_rng([23, *id_words(name)])
    picture = Image.fromarray(crop)
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.8, 1.2))
    picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.85, 1.3))
    picture = ImageEnhance.Color(picture).enhance(rng.uniform(0.6, 1.4))
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8) * crop.shape[0] / 64))
    return np.asarray(picture)
