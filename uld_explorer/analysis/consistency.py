"""Does the detector follow the picture? Consistency under similarity transforms; pure functions.

Knows nothing of detectors: the caller draws transforms here, warps the pictures, runs the detector on both versions
and hands the points back (Sanchez and Tzimiropoulos 2019, "Landmark consistency"; the paper, Table 4).
"""

from __future__ import annotations

import numpy as np

from uld_explorer.analysis.nme import column_means, found_points, mean_over_points
from uld_explorer.types import Landmarks

PICTURE_SIDE = 128.0


def similarity(
    rng: np.random.Generator,
    image_sizes: np.ndarray,
    rotation_std: float = 15.0,
    scale: tuple[float, float] = (0.9, 1.1),
    shift: float = 0.05,
) -> np.ndarray:
    """Draw one similarity transform a picture: rotation and scale about the picture's centre, then a shift.

    image_sizes   (N, 2) width and height in pixels
    rotation_std  degrees; the angle is normal with mean 0, positive turns x towards y
    scale         the factor is uniform between these two
    shift         uniform in plus or minus this share of the width (and of the height)

    Paper is silent: only "random similarity transformation" is said; the ranges of scale and shift are ours, small
    enough that an object in the middle stays inside its picture.
    Returns (N, 2, 3) float64 that act on pixels of the original picture, see `apply`.
    """
    size = np.asarray(image_sizes, dtype=np.float64)
    angle = np.deg2rad(rng.normal(0.0, rotation_std, len(size)))
    factor = rng.uniform(*scale, len(size))
    cos, sin = factor * np.cos(angle), factor * np.sin(angle)
    linear = np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
    centre = size / 2
    moved = centre + rng.uniform(-shift, shift, size.shape) * size
    offset = moved - np.einsum("nij,nj->ni", linear, centre)
    return np.concatenate([linear, offset[..., None]], axis=-1)


def apply(transform: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Transform points: (2, 3) or (N, 2, 3) on (N, K, 2) pixels; NaN stays NaN. A (2, 3) also takes (K, 2)."""
    linear, offset = transform[..., :2], transform[..., None, :, 2]
    return xy @ np.swapaxes(linear, -1, -2) + offset


def consistency_errors(
    landmarks_of_transformed: Landmarks,
    landmarks_original: Landmarks,
    transform: np.ndarray,
    image_sizes: np.ndarray,
) -> np.ndarray:
    """(N, K) distances between the points found in A(x) and A of the points found in x, in pixels at 128 by 128.

    transform    (N, 2, 3), or (2, 3) for all, on pixels of the original pictures
    image_sizes  (N, 2) width and height that become 128: the picture's, or the region's the detector looks at

    NaN where a landmark is missing in either version.
    """
    moved = apply(transform, found_points(landmarks_original))
    difference = found_points(landmarks_of_transformed) - moved
    return np.linalg.norm(difference * (PICTURE_SIDE / np.asarray(image_sizes, dtype=np.float64))[:, None], axis=-1)


def consistency_by_landmark(errors: np.ndarray) -> np.ndarray:
    """(K,) pixels at 128 by 128, each landmark's mean; NaN where it was never found in both versions."""
    return column_means(errors)


def consistency_error(
    landmarks_of_transformed: Landmarks,
    landmarks_original: Landmarks,
    transform: np.ndarray,
    image_sizes: np.ndarray,
) -> float:
    """The mean of `consistency_errors` over landmarks of each landmark's mean, as in the tables of the literature.

    Pixels at 128 by 128, at least 0; NaN if no landmark was found in both versions. A detector that finds nothing
    else is not punished here, so read it beside the detection rate.
    """
    return mean_over_points(consistency_errors(landmarks_of_transformed, landmarks_original, transform, image_sizes))
