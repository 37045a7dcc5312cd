"""What an evaluation protocol fixes: the table of the literature's, the regressor's pictures, the distance d.

Knows annotations, nothing of landmarks or errors. A protocol fixes how many pictures train the linear regressor, how
often that is repeated, how strongly each direction is regularised and which distance errors are divided by. A figure
without its protocol cannot be compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from uld_explorer.types import Annotations, UserError

ALL_IMAGES = 0
_MIN_TEST = 10  # a split must leave at least this many pictures for the error


@dataclass(frozen=True)
class Protocol:
    """How the forward and backward errors of one table in the literature are measured.

    regressor_images  pictures that train the linear maps; 0 means all of a separate training set
    repeats           how many random subsets of that size are drawn; figures are the mean over them
    ridge_forward     regularisation of the map discovered -> annotated, relative to the largest entry of X'X
    ridge_backward    regularisation of the map annotated -> discovered, the same unit
    normaliser        the distance d errors are divided by: iod, box, shoulder or torso (see `normaliser`)
    help              one sentence for the person who chooses
    """

    name: str
    regressor_images: int
    repeats: int
    ridge_forward: float
    ridge_backward: float
    normaliser: str
    help: str


_TABLE = (
    Protocol(
        "box",
        300,
        1,
        1e-3,
        0.1,
        "box",
        "Works for any object: 300 regressor pictures, errors in % of the square root of the annotated box's area.",
    ),
    Protocol(
        "mafl5",
        19_000,
        1,
        1e-3,
        0.1,
        "iod",
        "MAFL with 5 points: 19 000 regressor pictures, errors in % of the distance between the eyes.",
    ),
    Protocol(
        "eyes",
        ALL_IMAGES,
        1,
        1e-3,
        0.1,
        "iod",
        "AFLW, cat heads: all of a separate training set, errors in % of the distance between the eyes.",
    ),
    Protocol(
        "faces68",
        300,
        10,
        1e-3,
        0.1,
        "iod",
        "Faces with 68 points: 300 regressor pictures, 10 repeats, errors in % of the outer eye corners' distance.",
    ),
    Protocol(
        "ls3d",
        300,
        1,
        0.1,
        0.1,
        "box",
        "LS3D: 300 regressor pictures, strong regularisation, errors in % of the annotated box.",
    ),
    Protocol(
        "sweep",
        ALL_IMAGES,
        10,
        1e-4,
        1e-4,
        "iod",
        "The largest step of the sweep over regressor pictures: all of a separate training set, 10 repeats.",
    ),
    Protocol(
        "human",
        800,
        1,
        0.01,
        0.01,
        "shoulder",
        "Human pose: 800 regressor pictures, errors in % of the distance between the shoulders.",
    ),
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _TABLE}
DEFAULT_PROTOCOL = "box"
SWEEP_SIZES = (1, 5, 10, 100, 500, 1000, 5000, ALL_IMAGES)


def get_protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises
    ------
    UserError
        There is none; the message lists those there are.
    """
    if name not in PROTOCOLS:
        raise UserError(f"There is no evaluation protocol named '{name}'; choose one of {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


def sweep_protocols(base: Protocol = PROTOCOLS["sweep"], sizes: tuple[int, ...] = SWEEP_SIZES) -> list[Protocol]:
    """`base` once for every number of regressor pictures, named `sweep-1`, `sweep-5` … `sweep-all`."""
    return [replace(base, name=f"{base.name}-{size or 'all'}", regressor_images=size) for size in sizes]


# ---------------------------------------------------------------- which pictures train the regressor


def regressor_subset(available: int, protocol: Protocol, seed: int) -> np.ndarray:
    """Rows of a separate training set that train the maps: exactly the protocol's number, or all if there are fewer.

    Returns sorted int64 rows, 0 <= row < available. Raises UserError if there is none.
    """
    if available < 1:
        raise UserError("No picture of the regressor's set is annotated; choose a set with annotated points.")
    wanted = available if protocol.regressor_images == ALL_IMAGES else min(protocol.regressor_images, available)
    return np.sort(np.random.default_rng(seed).permutation(available)[:wanted])


def regressor_split(n_annotated: int, protocol: Protocol, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split one set of annotated pictures: rows that train the maps (exactly the protocol's number), and all the rest.

    Paper is silent: where fewer than ten pictures would be left for the error, half of the set trains the maps.
    Returns two sorted, disjoint arrays that together hold every row. Raises UserError below two pictures.
    """
    if n_annotated < 2:
        raise UserError("At least two annotated pictures are needed, one for the regressor and one for the error.")
    wanted = n_annotated if protocol.regressor_images == ALL_IMAGES else protocol.regressor_images
    if n_annotated - wanted < _MIN_TEST:
        wanted = min(wanted, n_annotated // 2)
    order = np.random.default_rng(seed).permutation(n_annotated)
    return np.sort(order[:wanted]), np.sort(order[wanted:])


# ---------------------------------------------------------------- the distance errors are divided by


def truth_points(annotations: Annotations) -> np.ndarray:
    """(N, P, 2) pixels, NaN wherever a point is not annotated, whatever is stored there."""
    return np.where((annotations.visibility > 0)[..., None], annotations.xy, np.nan)


def normaliser(annotations: Annotations, kind: str) -> np.ndarray:
    """The distance d of every picture, from its own annotations, whichever direction is measured.

    kind  iod       distance of the two points `annotations.iod`
          box       sqrt(width * height) of the annotated box; of the annotated points' bounding box where there is none
          shoulder  distance between the points named left and right shoulder
          torso     distance between the left shoulder and the right hip

    Returns (N,) float64 pixels, NaN where a picture lacks what is needed (such pictures do not count).
    Raises UserError if `kind` is unknown, or if d cannot be had for any picture.
    """
    if kind == "box":
        distance = _box_side(annotations)
    else:
        first, second = _point_pair(annotations, kind)
        points = truth_points(annotations)
        distance = np.linalg.norm(points[:, first] - points[:, second], axis=-1)
    distance = np.where(np.isfinite(distance) & (distance > 0), distance, np.nan)
    if not np.isfinite(distance).any():
        raise UserError(
            f"No picture has the annotations that the distance '{kind}' needs; "
            "choose another protocol or annotate more."
        )
    return distance


def _box_side(annotations: Annotations) -> np.ndarray:
    points = truth_points(annotations)
    low = np.where(np.isnan(points), np.inf, points).min(axis=1)
    high = np.where(np.isnan(points), -np.inf, points).max(axis=1)
    extent = np.where(annotations.annotated[:, None], high - np.where(np.isfinite(low), low, 0.0), np.nan)
    given = np.isfinite(annotations.boxes).all(axis=1) & (annotations.boxes[:, 2:] > 0).all(axis=1)
    width_height = np.where(given[:, None], annotations.boxes[:, 2:], extent)
    return np.sqrt(width_height.prod(axis=1))


def _point_pair(annotations: Annotations, kind: str) -> tuple[int, int]:
    if kind == "iod":
        if annotations.iod is None:
            raise UserError("It is not known which two points are the eyes; choose the protocol 'box' or 'ls3d'.")
        return annotations.iod
    wanted = {"shoulder": ("leftshoulder", "rightshoulder"), "torso": ("leftshoulder", "righthip")}
    if kind not in wanted:
        raise UserError(f"There is no distance named '{kind}'; choose one of iod, box, shoulder, torso.")
    names = [re.sub(r"[^a-z]", "", name.lower()) for name in annotations.names]
    if not set(wanted[kind]) <= set(names):
        raise UserError(f"The distance '{kind}' needs points named {' and '.join(wanted[kind])}; choose 'box' instead.")
    return names.index(wanted[kind][0]), names.index(wanted[kind][1])
