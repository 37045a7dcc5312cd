"""K-means over descriptors, by faiss. Knows vectors only."""

from __future__ import annotations

import os

import numpy as np

from uld_explorer.types import UserError


def faiss_gpu_usable() -> bool:
    """Whether faiss can cluster on a GPU here. Never on ZeroGPU, whose main process must not touch CUDA."""
    import faiss

    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0 and not os.environ.get("SPACES_ZERO_GPU")


def clustering_backend() -> str:
    """What really does the clustering, for people: 'faiss on the GPU' or 'faiss on the CPU'."""
    return "faiss on the GPU" if faiss_gpu_usable() else "faiss on the CPU"


def kmeans(
    x: np.ndarray,
    k: int,
    *,
    seed: int,
    iterations: int = 100,
    restarts: int = 10,
    spherical: bool = True,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Spherical K-means centroids (k, D) float32 of unit length, for unit descriptors x (M, D).

    spherical: False for vectors of any length and their plain means. start (k, D): begin from these, once.

    Raises:
        UserError: fewer descriptors than clusters.
    """
    import faiss

    x = np.ascontiguousarray(x, np.float32)
    if len(x) < k:
        raise UserError(
            f"{k} clusters need at least {k} descriptors, but the regions hold only {len(x)}: "
            "use fewer landmarks or more pictures."
        )
    engine = faiss.Kmeans(
        x.shape[1],
        k,
        niter=iterations,
        nredo=restarts if start is None else 1,
        seed=seed,
        spherical=spherical,
        gpu=faiss_gpu_usable(),
        min_points_per_centroid=1,
        max_points_per_centroid=max(1, len(x) // k + 1),
    )
    engine.train(x, init_centroids=None if start is None else np.ascontiguousarray(start, np.float32))
    return np.asarray(engine.centroids, np.float32).reshape(k, -1)


def assign(x: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest centroid (M,) int64 and the cosine similarity to it (M,) float32, for unit vectors."""
    similarity = np.asarray(x, np.float32) @ centroids.T
    label = similarity.argmax(1)
    return label, similarity[np.arange(len(label)), label]
