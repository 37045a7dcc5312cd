"""Maps of descriptors on a plane. Knows vectors only; the same vectors and seed always give the same map."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

_TINY = 4
ALIGNED_EPOCHS = 150
"""Epochs of a map that begins from another one."""


def nearest_neighbours(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact nearest neighbours among the rows of `x`, Euclidean.

    x (M, D) finite, k at least 1 (lessened to M where there are fewer rows).
    Returns indices (M, k) int64 and distances (M, k) float32 ascending; the first column is the row itself at 0,
    also where other rows are equal to it.
    """
    import faiss

    rows = np.ascontiguousarray(x, dtype=np.float32)
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    squared, indices = index.search(rows, min(k, len(rows)))
    return _self_first(indices.astype(np.int64), np.sqrt(np.maximum(squared, 0.0)).astype(np.float32))


def _self_first(indices: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move each row itself to the front (replacing the farthest where equal rows crowded it out)."""
    own = np.arange(len(indices))[:, None]
    rank = np.where(indices == own, -1, np.arange(indices.shape[1]))
    rank[(indices != own).all(axis=1), -1] = -1
    order = np.argsort(rank, axis=1, kind="stable")
    indices, distances = np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)
    indices[:, :1], distances[:, :1] = own, 0.0
    return indices, distances


def pca_map(descriptor: np.ndarray) -> np.ndarray:
    """(M, D) to the two directions of greatest spread, (M, 2) float32; zeros where there is no second direction.

    The sign of an axis is fixed (its largest loading is positive), so the map does not flip between machines.
    """
    x = np.asarray(descriptor, dtype=np.float64)
    out = np.zeros((len(x), 2), dtype=np.float32)
    if len(x) < 2 or not x.shape[1]:
        return out
    centred = x - x.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    out[:, : axes.shape[1]] = centred @ axes
    return out


def umap_map(
    descriptor: np.ndarray,
    seed: int,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """UMAP of (M, D) descriptors with exact neighbours, (M, 2) float32.

    PCA instead at four points or fewer, or where all are equal.

    n_neighbors (lessened to M - 1) widens what counts as near; min_dist 0 ... 1 is how close points may come.
    start (M, 2): positions to begin from, those of another map of the same points that this one should resemble.
    """
    x = np.ascontiguousarray(descriptor, dtype=np.float32)
    if len(x) <= _TINY or not np.ptp(x, axis=0).any():
        return pca_map(x)
    neighbours = max(2, min(n_neighbors, len(x) - 1))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*n_jobs.*")
        warnings.filterwarnings("ignore", message=".*knn_search_index.*")
        import umap

        reducer = umap.UMAP(
            n_neighbors=neighbours,
            min_dist=min_dist,
            random_state=seed,
            init=_start(start) if start is not None else "pca" if x.shape[1] >= 2 else "random",
            n_epochs=ALIGNED_EPOCHS if start is not None else None,
            precomputed_knn=(*nearest_neighbours(x, neighbours), None),
            force_approximation_algorithm=True,
        )
        return np.asarray(reducer.fit_transform(x), dtype=np.float32)


def _start(positions: np.ndarray) -> np.ndarray:
    """Positions on the scale that UMAP's own starts have, 0 ... 10 along each axis."""
    low, span = positions.min(axis=0), np.ptp(positions, axis=0)
    return np.ascontiguousarray(10.0 * (positions - low) / np.maximum(span, 1e-9), dtype=np.float32)


def align(positions: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """(M, 2) float32: a map turned, mirrored, scaled and shifted so that its points lie nearest to those of another.

    Procrustes analysis (Schönemann 1966); both (M, 2).
    """
    own, other = positions - positions.mean(axis=0), onto - onto.mean(axis=0)
    u, singular, v = np.linalg.svd(own.T @ other)
    size = singular.sum() / max(float((own**2).sum()), 1e-12)
    return np.asarray(size * own @ (u @ v) + onto.mean(axis=0), dtype=np.float32)


def in_polygons(xy: np.ndarray, polygons: Sequence[np.ndarray]) -> np.ndarray:
    """(M,) bool: points inside any of the polygons (V, 2), by the even-odd rule. xy (M, 2)."""
    inside = np.zeros(len(xy), dtype=bool)
    for polygon in polygons:
        low, high = polygon.min(axis=0), polygon.max(axis=0)
        near = np.flatnonzero(((xy >= low) & (xy <= high)).all(axis=1))
        x, y = xy[near].astype(np.float64).T
        hit = np.zeros(len(near), dtype=bool)
        for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if y1 != y2:
                hit ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
        inside[near[hit]] = True
    return inside
