"""What a round of training tells whoever watches: figures as numbers, and pictures' heat maps and points as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from uld_explorer.events import Event
from uld_explorer.features.aggregation import to_pixels
from uld_explorer.landmarks.network import LandmarkNetwork
from uld_explorer.landmarks.view_maps import ViewMaps
from uld_explorer.types import Landmarks

PANEL = 8
"""Pictures that are shown after every round, always the same ones."""
SNAPSHOT = 600
"""Pictures that are kept of every round for maps, at most."""
SAMPLE = 2000
"""Descriptors that the silhouette is measured on, at most: its cost is their square."""


def panel_rows(count: int) -> np.ndarray:
    """At most PANEL rows of `count` pictures, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(PANEL, count)).astype(int))


def silhouette(descriptor: np.ndarray, present: np.ndarray) -> float | None:
    """How tight the clusters are (paper, Table 3), -1...1; None below two. descriptor (N, K, D), present (N, K)."""
    from sklearn.metrics import silhouette_score

    x, label = descriptor[present], np.nonzero(present)[1]
    rows = np.unique(np.linspace(0, max(len(x) - 1, 0), min(len(x), SAMPLE)).astype(int))
    if not 2 <= len(np.unique(label[rows])) < len(rows):
        return None
    return round(float(silhouette_score(x[rows], label[rows])), 4)


def model_event(tensors: dict[str, np.ndarray]) -> Event:
    """An artifact event that keeps the model as it is now, for whoever stops the run after this round."""
    return Event("artifact", "training", data={"name": "model"}, arrays=tensors)


def landmarks_event(landmarks: Landmarks) -> Event:
    """An artifact event of the landmarks as they are now, so that they can be looked at while training goes on."""
    return Event("artifact", "training", data={"name": "landmarks"}, arrays=landmarks.to_arrays())


def snapshot_event(
    number: int, points: np.ndarray, seen: np.ndarray, descriptor: np.ndarray, codes: np.ndarray | None = None
) -> Event:
    """An artifact event of what the network made of many pictures after round `number`, for maps over the rounds.

    points (N, M, 2) pixels, seen (N, M), descriptor (N, M, D), pose codes (N, L) where there are any; at most
    SNAPSHOT of the pictures, evenly spread, in half precision.
    """
    rows = np.unique(np.linspace(0, len(points) - 1, min(SNAPSHOT, len(points))).astype(int))
    arrays = {
        "rows": rows,
        "points": points[rows].astype(np.float32),
        "seen": seen[rows],
        "descriptor": descriptor[rows].astype(np.float16),
    }
    if codes is not None:
        arrays["codes"] = codes[rows].astype(np.float16)
    return Event("artifact", "training", data={"name": f"snapshot_{number}"}, arrays=arrays)


@torch.no_grad()
def round_event(
    number: int,
    network: LandmarkNetwork,
    data: ViewMaps,
    points: np.ndarray,
    present: np.ndarray,
    descriptor: np.ndarray | None,
    pose: np.ndarray | None = None,
    **figures: Any,
) -> Event:
    """An artifact event of the labels made after round `number`; 0 is before any training.

    points (N, K, 2) crop units, present (N, K), descriptor (N, K, D) or None, pose (N,) clusters where there are any.
    Besides the `figures` given, its data has the clusters' sizes and silhouette and the layers' mixing weights; its
    arrays show the panel: rows, points in pixels (NaN where missing), heat maps in 0...1.
    """
    rows = panel_rows(len(data))
    network.eval()
    logits, _ = network(data.take(rows))
    network.train()
    shown = np.where(present[rows, :, None], points[rows], np.nan)
    arrays = {
        "rows": rows,
        "points": np.stack([to_pixels(p, affine) for p, affine in zip(shown, data.affines[rows], strict=True)]),
        "heat": logits.sigmoid().cpu().numpy(),
    }
    if pose is not None:
        arrays["pose"] = pose
    facts = {
        "round": number,
        "found": round(float(present.mean()), 4),
        "cluster_sizes": present.sum(0).tolist(),
        "silhouette": None if descriptor is None else silhouette(descriptor, present),
        "mixing_weights": network.aggregation.mixing_weights(),
    }
    return Event("artifact", "training", data={"name": f"round_{number}", **facts, **figures}, arrays=arrays)
