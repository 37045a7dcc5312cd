"""Forward and backward normalised mean error. Pure mathematics on points: knows nothing of pictures or detectors.

*Forward* maps the discovered points to the annotated ones by a linear map and measures the error on the annotated
points; *backward* is the reverse. Neither tells much alone: unstable points can still carry a good forward map, and
a detector that always gives the same answer has a backward error of zero. So they are computed together, with the
error of always answering the mean shape beside them.

Points are in pixels of the original picture at every boundary. Inside, a point is written relative to a *frame*
(the picture, or a box in it): (x - left) / width - 0.5. Errors are in percent of a distance d of that same picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uld_explorer.analysis.protocols import PROTOCOLS, Protocol, normaliser, truth_points
from uld_explorer.types import Annotations, Landmarks, UserError

_STILL = 1e-9  # a coordinate whose spread is below this share of the frame does not move


# ---------------------------------------------------------------- frames and missing points


def found_points(landmarks: Landmarks) -> np.ndarray:
    """(N, K, 2) pixels, NaN wherever a landmark is missing, whatever is stored there."""
    return np.where(landmarks.present[..., None], landmarks.xy, np.nan)


def frame_boxes(image_size: np.ndarray, frame: np.ndarray | None = None) -> np.ndarray:
    """(N, 4) float64 boxes x, y, width, height: `frame` where given, else the whole pictures of (N, 2) sizes."""
    if frame is not None:
        return np.asarray(frame, dtype=np.float64)
    size = np.asarray(image_size, dtype=np.float64)
    return np.concatenate([np.zeros_like(size), size], axis=1)


def to_frame(xy: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N, M, 2) pixels to frame coordinates, -0.5 ... 0.5 inside the (N, 4) boxes."""
    return (xy - boxes[:, None, :2]) / boxes[:, None, 2:] - 0.5


def from_frame(xy: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The inverse of `to_frame`."""
    return (xy + 0.5) * boxes[:, None, 2:] + boxes[:, None, :2]


def complete(matrix: np.ndarray, method: str = "lowrank", iterations: int = 100, shrink: float = 0.03) -> np.ndarray:
    """Fill the missing entries of a matrix of coordinates; entries that are there do not change.

    Paper is silent: `mean` fills with the column's mean; `lowrank` starts there and then alternates between a
    low-rank view of the matrix (singular values lessened by `shrink` times the largest) and the known entries,
    until nothing moves. It uses that a picture's other points tell where the missing one must be.

    matrix (N, C) frame coordinates, NaN where missing. A column without any value becomes 0, the frame's centre.
    Returns (N, C). Raises ValueError for an unknown method.
    """
    if method not in ("mean", "lowrank"):
        raise ValueError(f"completion must be 'mean' or 'lowrank', not {method!r}")
    missing = np.isnan(matrix)
    mean = column_means(matrix)
    mean = np.where(np.isnan(mean), 0.0, mean)
    filled = np.where(missing, 0.0, matrix - mean)
    if method == "lowrank" and missing.any():
        filled = _soft_impute(filled, missing & ~missing.all(axis=0), iterations, shrink)
    return filled + mean


def _soft_impute(filled: np.ndarray, missing: np.ndarray, iterations: int, shrink: float) -> np.ndarray:
    for _ in range(iterations):
        values, vectors = np.linalg.eigh(filled.T @ filled)
        singular = np.sqrt(np.maximum(values, 0.0))
        kept = np.maximum(singular - shrink * singular.max(), 0.0) / np.maximum(singular, 1e-12)
        guess = filled @ (vectors * kept) @ vectors.T
        change = np.abs(guess - filled)[missing].max(initial=0.0)
        filled = np.where(missing, guess, filled)
        if change < 1e-5:
            break
    return filled


def column_means(matrix: np.ndarray) -> np.ndarray:
    """Means over the first axis of what is not NaN; NaN where nothing is, without a warning."""
    count = (~np.isnan(matrix)).sum(axis=0)
    total = np.where(np.isnan(matrix), 0.0, matrix).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


# ---------------------------------------------------------------- the linear map


@dataclass(frozen=True)
class RidgeMap:
    """A linear map between two sets of points, in frame coordinates.

    weight       (2P, 2M)
    source_mean  (2M,) the training mean, which also stands in for a missing point
    target_mean  (2P,) NaN where the training pictures never show the point
    """

    weight: np.ndarray
    source_mean: np.ndarray
    target_mean: np.ndarray

    def predict(self, source: np.ndarray, image_size: np.ndarray, frame: np.ndarray | None = None) -> np.ndarray:
        """(N, M, 2) pixels, NaN where missing, to (N, P, 2) pixels of the same pictures."""
        boxes = frame_boxes(image_size, frame)
        centred = to_frame(source, boxes).reshape(len(source), -1) - self.source_mean
        centred = np.where(np.isnan(centred), 0.0, centred)
        target = centred @ self.weight.T + self.target_mean
        return from_frame(target.reshape(len(source), -1, 2), boxes)


def fit_linear_map(
    source: np.ndarray,
    target: np.ndarray,
    image_size: np.ndarray,
    lam: float,
    frame: np.ndarray | None = None,
    completion: str = "mixed",
) -> RidgeMap:
    """Ridge regression R = Y'X (X'X + lam * max(X'X) * I)^-1 on centred frame coordinates.

    source, target  (N, M, 2) and (N, P, 2) pixels, NaN where missing
    image_size      (N, 2) width and height in pixels; not used where `frame` is given
    lam             relative to the largest entry of X'X, at least 0
    frame           (N, 4) boxes that points are written relative to, instead of the whole pictures. Needed to make a
                    linear map meaningful where the object's place in the picture varies
    completion      how missing training points are filled: mean, lowrank (see `complete`) or mixed

    Paper is silent: `mixed` fills sources by the mean, as they must be filled at test, and targets by low rank. On
    synthetic faces with three in ten points missing, low-rank targets lower the backward error more than fourfold,
    while low-rank sources raise the forward error by a tenth to a fifth: that map never saw a mean it must live with.

    Pictures without any source point or any target point do not train the map. A coordinate that never moves gets no
    weight, so a constant detector yields the mean of the targets.
    """
    boxes = frame_boxes(image_size, frame)
    x = to_frame(np.asarray(source, dtype=np.float64), boxes).reshape(len(source), -1)
    y = to_frame(np.asarray(target, dtype=np.float64), boxes).reshape(len(target), -1)
    rows = ~np.isnan(x).all(axis=1) & ~np.isnan(y).all(axis=1)
    if not rows.any():
        return RidgeMap(np.zeros((y.shape[1], x.shape[1])), np.zeros(x.shape[1]), column_means(y))
    x, y = x[rows], y[rows]
    never_seen = np.isnan(y).all(axis=0)
    x = complete(x, "mean" if completion == "mixed" else completion)
    y = complete(y, "lowrank" if completion == "mixed" else completion)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    weight = _ridge(x - x_mean, y - y_mean, lam)
    return RidgeMap(weight, x_mean, np.where(never_seen, np.nan, y_mean))


def _ridge(x: np.ndarray, y: np.ndarray, lam: float) -> np.ndarray:
    x = np.where(x.std(axis=0) < _STILL, 0.0, x)
    gram = x.T @ x
    if gram.max() <= 0:
        return np.zeros((y.shape[1], x.shape[1]))
    damped = gram + lam * gram.max() * np.eye(len(gram))
    return y.T @ x @ np.linalg.pinv(damped, hermitian=True)


# ---------------------------------------------------------------- the errors


def point_errors(predicted: np.ndarray, actual: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """(N, P) percent of d: distance of (N, P, 2) pixels, divided by (N,) d. NaN where a point or d is unknown."""
    return 100.0 * np.linalg.norm(predicted - actual, axis=-1) / distance[:, None]


def mean_over_points(errors: np.ndarray) -> float:
    """The NME of (N, P) errors: the mean over points of each point's mean over its pictures; NaN if there are none.

    Paper is silent: with missing points, the mean over all pairs differs. Here each point weighs the same, however
    rarely it is there, and so the last value of `ced` is the NME.
    """
    by_point = column_means(errors)
    return float(column_means(by_point))


def ced(per_point: np.ndarray) -> np.ndarray:
    """The "cumulative error distribution" of this literature (paper, Fig. 5), which is not a distribution.

    The errors of the single points, sorted ascending, then the cumulative mean: entry i is the NME of the i + 1 best
    points, and the last entry is the NME itself. NaN entries are left out. (P,) percent -> (<= P,) percent.
    """
    kept = np.sort(np.asarray(per_point, dtype=np.float64)[~np.isnan(per_point)])
    return np.cumsum(kept) / np.arange(1, len(kept) + 1)


@dataclass(frozen=True)
class NmeResult:
    """Errors of every test picture, in percent of its d; NaN where a point does not count.

    forward     (N, P) on the annotated points
    backward    (N, K) on the discovered points
    mean_shape  (N, P) on the annotated points, always answering the training mean
    """

    forward: np.ndarray
    backward: np.ndarray
    mean_shape: np.ndarray

    @property
    def forward_nme(self) -> float:
        """Percent; NaN where nothing could be measured."""
        return mean_over_points(self.forward)

    @property
    def backward_nme(self) -> float:
        """Percent; NaN where nothing could be measured."""
        return mean_over_points(self.backward)

    @property
    def mean_shape_nme(self) -> float:
        """Percent; NaN where nothing could be measured."""
        return mean_over_points(self.mean_shape)


def mean_shape_errors(
    train_truth: Annotations,
    test_truth: Annotations,
    train_sizes: np.ndarray,
    test_sizes: np.ndarray,
    kind: str = "box",
    train_frames: np.ndarray | None = None,
    test_frames: np.ndarray | None = None,
    visible_only: bool = False,
    completion: str = "mixed",
) -> np.ndarray:
    """(N, P) percent: the forward errors of a detector that always gives the same answer in the frame.

    That detector maps to the training mean of the annotations. What is better than this number is what the discovered
    points explain; on aligned pictures, or with boxes made from the annotations, it can be very small.
    """
    train_points = truth_points(train_truth)
    anchor = from_frame(np.zeros((len(train_points), 1, 2)), frame_boxes(train_sizes, train_frames))
    still = fit_linear_map(anchor, train_points, train_sizes, 1.0, train_frames, completion)
    nothing = np.full((len(test_truth.xy), 1, 2), np.nan)
    guess = still.predict(nothing, test_sizes, test_frames)
    return point_errors(guess, _scored(test_truth, visible_only), normaliser(test_truth, kind))


def evaluate_nme(
    train_found: Landmarks,
    train_truth: Annotations,
    test_found: Landmarks,
    test_truth: Annotations,
    train_sizes: np.ndarray,
    test_sizes: np.ndarray,
    protocol: Protocol = PROTOCOLS["box"],
    *,
    train_frames: np.ndarray | None = None,
    test_frames: np.ndarray | None = None,
    visible_only: bool = False,
    completion: str = "mixed",
) -> NmeResult:
    """Forward, backward and mean-shape errors (paper, section 4). All given training pictures train the maps.

    *_sizes, *_frames  (N, 2) and (N, 4), see `fit_linear_map`; errors are always in original pixels, divided by d
    visible_only       score only the points that are visible, not those annotated behind something

    Forward counts annotated points, also in pictures where no landmark was found (the mean shape then answers).
    Backward counts found landmarks only, so read it beside the share of pictures they are found in.
    Raises UserError where the training pictures have no annotations or d cannot be computed.
    """
    if not train_truth.annotated.any():
        raise UserError("None of the regressor pictures is annotated; choose a set of pictures with annotated points.")
    distance = normaliser(test_truth, protocol.normaliser)
    found, truth = found_points(train_found), truth_points(train_truth)
    options = (train_frames, completion)
    forward = fit_linear_map(found, truth, train_sizes, protocol.ridge_forward, *options)
    backward = fit_linear_map(truth, found, train_sizes, protocol.ridge_backward, *options)
    to_truth = forward.predict(found_points(test_found), test_sizes, test_frames)
    to_found = backward.predict(truth_points(test_truth), test_sizes, test_frames)
    annotated = test_truth.annotated[:, None, None]
    return NmeResult(
        point_errors(to_truth, _scored(test_truth, visible_only), distance),
        point_errors(to_found, np.where(annotated, found_points(test_found), np.nan), distance),
        mean_shape_errors(
            train_truth,
            test_truth,
            train_sizes,
            test_sizes,
            protocol.normaliser,
            train_frames,
            test_frames,
            visible_only,
            completion,
        ),
    )


def _scored(truth: Annotations, visible_only: bool) -> np.ndarray:
    threshold = 2 if visible_only else 1
    return np.where((truth.visibility >= threshold)[..., None], truth.xy, np.nan)
