"""Which of many candidate landmarks are worth keeping, without any annotation. Arrays only."""

from __future__ import annotations

import numpy as np


def unsteadiness(places: np.ndarray) -> np.ndarray:
    """(M,) how far each landmark is off when the same picture is seen in another view, against how much it moves.

    places (V, N, M, 2): where M landmarks are placed in V views of N pictures, all in the frame of the picture. Mean
    distance from the mean over views, divided by the mean distance of that from its mean over pictures. A landmark
    that never moves would be steady for nothing.
    """
    mean = places.mean(0)
    error = np.linalg.norm(places - mean, axis=-1).mean((0, 1))
    spread = np.linalg.norm(mean - mean.mean(0), axis=-1).mean(0)
    return error / np.maximum(spread, 1e-6)


def choose_steady(cost: np.ndarray, points: np.ndarray, count: int, apart: float = 1.5) -> np.ndarray:
    """(count,) the steadiest of M landmarks that lie apart, steadiest first.

    cost (M,) positive, from `unsteadiness`; points (N, M, 2). Each next one has the greatest share of distance to the
    nearest one chosen, to the power `apart` and up to the median distance, over cost.

    Differs from paper: which keeps all clusters. Clusters of features are not equally good landmarks; some slide
    along an edge as the object turns.
    """
    distance = np.stack([np.linalg.norm(points - points[:, [m]], axis=-1).mean(0) for m in range(len(cost))])
    distance = np.minimum(distance / max(float(np.median(distance)), 1e-6), 1.0) ** apart
    chosen = [int(cost.argmin())]
    while len(chosen) < count:
        gain = distance[:, chosen].min(1) / np.maximum(cost, 1e-9)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
    return np.array(chosen)
