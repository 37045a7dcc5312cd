"""ZeroShot (paper 3.1): cluster the features of a frozen diffusion model, keep one exemplar a cluster and picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from uld_explorer.data.regions import id_words, region_cells
from uld_explorer.events import Stage, note, progress
from uld_explorer.features.aggregation import Aggregation, cell_positions, describe, fit_aggregation, to_pixels
from uld_explorer.features.backbone import Backbone
from uld_explorer.features.store import FeatureMaps, iter_extract
from uld_explorer.landmarks.clustering import clustering_backend, kmeans
from uld_explorer.settings import RunSettings, setting
from uld_explorer.types import Found, ImageSet, Keypoints, Landmarks, Regions

FEWEST = 8
"""Descriptors that a cluster should have on average, before there is more than one a landmark."""


@dataclass(frozen=True)
class ZeroShotSettings(RunSettings):
    """ZeroShot's own settings."""

    rim: float = setting(0.08, "share of the crop along each edge where no landmark is looked for", low=0.0, high=0.4)
    pixels: int = setting(128, "random pixels drawn from each region for clustering", low=4, high=4096)
    test_pixels: int = setting(
        0, "random pixels searched for exemplars, as in the paper; 0: every cell of the region", low=0, high=16384
    )
    components: int = setting(64, "principal components kept of every layer", low=2, high=1024)
    whitening: float = setting(0.5, "0: components as they are, 1: all of the same variance", low=0.0, high=1.0)
    oversegment: int = setting(
        1, "clusters per landmark, of which the best are kept; 1: K clusters, as in the paper", low=1, high=20
    )
    iterations: int = setting(100, "iterations of K-means", low=1, high=1000)
    restarts: int = setting(10, "restarts of K-means, the best is kept", low=1, high=100)
    refine: bool = setting(
        True, "place landmarks between cells, by a parabola through the similarity of the neighbours"
    )


@dataclass(frozen=True)
class Codebook:
    """What ZeroShot learned.

    centroids    (M, D) unit float32, M >= K
    chosen       (K,) int64, the centroids that are landmarks; the others keep their pixels from being mistaken for them
    aggregation  how layers become descriptors
    """

    centroids: np.ndarray
    chosen: np.ndarray
    aggregation: Aggregation

    def to_tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a safetensors file."""
        return {"centroids": self.centroids, "chosen": self.chosen} | self.aggregation.to_tensors()

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> Codebook:
        """The inverse of `to_tensors`."""
        return cls(tensors["centroids"], tensors["chosen"], Aggregation.from_tensors(tensors))


def iter_fit(
    images: ImageSet, regions: Regions, settings: ZeroShotSettings, backbone: Backbone
) -> Stage[tuple[Codebook, Found]]:
    """Discover landmarks inside the regions: sample, cluster, assign exemplars. Keypoints are the exemplars, described.

    Raises:
        UserError: too few pixels for K clusters.
    """
    maps = yield from iter_extract(
        images, regions, backbone, seed=settings.seed, batch=settings.batch, context=context_of(regions, settings)
    )
    aggregation = fit_aggregation(maps, settings.components, settings.whitening)
    sample = yield from _iter_sample(images, maps, regions, aggregation, settings)
    yield note("clustering", f"K-means of {len(sample)} descriptors by {clustering_backend()}")
    yield progress("clustering", 0, 1)
    centroids = kmeans(
        sample,
        min(settings.landmarks * settings.oversegment, max(settings.landmarks, len(sample) // FEWEST)),
        seed=settings.seed,
        iterations=settings.iterations,
        restarts=settings.restarts,
    )
    yield progress("clustering", 1, 1)
    every = Codebook(centroids, np.arange(len(centroids)), aggregation)
    landmarks, keypoints = yield from _iter_exemplars(images, maps, regions, every, settings)
    if len(centroids) == settings.landmarks:
        return every, Found(landmarks, keypoints)
    chosen = choose_clusters(centroids, landmarks, settings.landmarks)
    return replace(every, chosen=chosen), Found(*_only(chosen, landmarks, keypoints))


def choose_clusters(centroids: np.ndarray, landmarks: Landmarks, count: int) -> np.ndarray:
    """The `count` clusters (of M) that make the best landmarks, best first: found often, alike, and unlike each other.

    Each next one has the greatest share of pictures x mean likeness of the exemplars x distance (1 - cosine) to the
    nearest one chosen before.

    Differs from paper: only where `oversegment` is above 1. Clusters of a K-th of an object are wide, and with weak
    features the pixel nearest to a wide cluster's centre moves about; a small cluster is one spot.
    """
    share = landmarks.present.mean(0)
    quality = share * np.where(share > 0, landmarks.score.sum(0) / np.maximum(landmarks.present.sum(0), 1), 0)
    similarity = centroids @ centroids.T
    chosen = [int(quality.argmax())]
    while len(chosen) < count:
        gain = quality * np.maximum(1 - similarity[:, chosen].max(1), 0)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
    return np.array(chosen)


def _only(chosen: np.ndarray, landmarks: Landmarks, keypoints: Keypoints) -> tuple[Landmarks, Keypoints]:
    """The landmarks and keypoints of the chosen clusters, numbered in their order."""
    number = np.full(landmarks.xy.shape[1], -1)
    number[chosen] = np.arange(len(chosen))
    label = number[keypoints.label]
    rows = np.flatnonzero(label >= 0)
    rows = rows[np.lexsort((label[rows], keypoints.image[rows]))]
    points = Keypoints(keypoints.xy[rows], keypoints.descriptor[rows], label[rows], keypoints.image[rows])
    found = Landmarks(landmarks.xy[:, chosen], landmarks.present[:, chosen], landmarks.score[:, chosen])
    return found, points


def iter_predict(
    images: ImageSet, regions: Regions, settings: ZeroShotSettings, backbone: Backbone, codebook: Codebook
) -> Stage[Found]:
    """Find the codebook's landmarks on other pictures."""
    maps = yield from iter_extract(
        images, regions, backbone, seed=settings.seed, batch=settings.batch, context=context_of(regions, settings)
    )
    return Found(*(yield from _iter_exemplars(images, maps, regions, codebook, settings)))


def context_of(regions: Regions, settings: RunSettings) -> float:
    """How much wider than the region the crop is: nothing can be seen around a whole picture."""
    return 0.0 if regions.source.startswith("whole") else settings.context


def search_cells(regions: Regions, settings: ZeroShotSettings) -> np.ndarray:
    """(N, cells, cells) bool: where landmarks may be, the region without the rim of the crop.

    Paper is silent: convolutions pad the crop with zeros, which marks the features along its edge more than any
    content does, and the first clusters found would be "left edge", "right edge" and so on.
    """
    inside = region_cells(regions, settings.map_size, context_of(regions, settings))
    place = (np.arange(settings.map_size) + 0.5) / settings.map_size
    inner = np.abs(place - 0.5) <= 0.5 - settings.rim
    kept = inside & inner[:, None] & inner[None, :]
    return np.where(kept.any((1, 2), keepdims=True), kept, inside)


def _iter_sample(
    images: ImageSet, maps: FeatureMaps, regions: Regions, aggregation: Aggregation, settings: ZeroShotSettings
) -> Stage[np.ndarray]:
    """Descriptors (M, D) of random pixels of every region."""
    inside = search_cells(regions, settings)
    descriptors = []
    for row in range(len(maps)):
        if row % 16 == 0:
            yield progress("sampling pixels", row, len(maps))
        cells = draw_cells(inside[row], settings.pixels, settings.seed, images.ids[row])
        volume = describe(maps, [row], aggregation, settings.map_size)[0].flatten(1)
        descriptors.append(volume.T.numpy()[cells])
    return np.concatenate(descriptors)


def draw_cells(inside: np.ndarray, count: int, seed: int, name: str) -> np.ndarray:
    """At most `count` (0: all) different cells of a region mask (cells, cells), as flat indices in rising order.

    Seeded by the picture's id, so that a picture's draw does not depend on its place in the set.
    """
    cells = np.flatnonzero(inside)
    if count == 0 or len(cells) <= count:
        return cells
    return np.sort(np.random.default_rng([seed, *id_words(name)]).choice(cells, count, replace=False))


def _iter_exemplars(
    images: ImageSet, maps: FeatureMaps, regions: Regions, codebook: Codebook, settings: ZeroShotSettings
) -> Stage[tuple[Landmarks, Keypoints]]:
    """Exemplar assignment: per picture and cluster, the pixel of that cluster that is nearest to its centroid.

    Differs from paper: by default every cell of the region is searched instead of random ones (`test_pixels`), so
    that the answer does not depend on a draw.
    """
    inside = search_cells(regions, settings)
    shape = (len(maps), len(codebook.chosen))
    xy, score = np.full((*shape, 2), np.nan), np.zeros(shape, np.float32)
    descriptors = np.zeros((*shape, codebook.centroids.shape[1]), np.float32)
    for row in range(len(maps)):
        if row % 16 == 0:
            yield progress("finding landmarks", row, len(maps))
        volume = describe(maps, [row], codebook.aggregation, settings.map_size)[0].flatten(1).T.numpy()
        cells = draw_cells(inside[row], settings.test_pixels, settings.seed + 1, images.ids[row])
        similarity = volume @ codebook.centroids.T
        best = exemplars(similarity, cells)[codebook.chosen]
        similarity = similarity[:, codebook.chosen]
        found = best >= 0
        position = cell_positions(settings.map_size)[best[found]]
        if settings.refine:
            position = position + refine_offsets(similarity[:, found], best[found], settings.map_size)
        xy[row, found] = to_pixels(position, maps.affines[row])
        score[row, found] = similarity[best[found], np.flatnonzero(found)]
        descriptors[row, found] = volume[best[found]]
    yield progress("finding landmarks", len(maps), len(maps))
    present = np.isfinite(xy[..., 0])
    image, label = np.nonzero(present)
    return Landmarks(xy, present, score), Keypoints(xy[present], descriptors[present], label, image)


def exemplars(similarity: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The best cell of each cluster (K,), -1 where no cell is nearest to it.

    similarity (C, K): every cell against every centroid. cells: the candidates among the C.
    """
    clusters = similarity.shape[1]
    chosen = similarity[cells]
    nearest = chosen.argmax(1)
    best = np.full(clusters, -1)
    for k in range(clusters):
        mine = np.flatnonzero(nearest == k)
        if len(mine):
            best[k] = cells[mine[chosen[mine, k].argmax()]]
    return best


def refine_offsets(similarity: np.ndarray, best: np.ndarray, cells: int) -> np.ndarray:
    """The top of a parabola through each best cell and its neighbours, as offsets (M, 2) in crop units.

    At most half a cell; 0 across the border, where a neighbour is unknown.
    similarity (cells * cells, M), best (M,) flat cells.
    """
    volume = similarity.T.reshape(-1, cells, cells)
    row, column = np.divmod(best, cells)
    each = np.arange(len(best))
    offsets = np.zeros((len(best), 2))
    for axis, (dy, dx) in enumerate(((0, 1), (1, 0))):
        low = volume[each, np.clip(row - dy, 0, cells - 1), np.clip(column - dx, 0, cells - 1)]
        high = volume[each, np.clip(row + dy, 0, cells - 1), np.clip(column + dx, 0, cells - 1)]
        bend = 2 * volume[each, row, column] - low - high
        place = (column, row)[axis]
        inside = (place > 0) & (place < cells - 1)
        top = inside & (volume[each, row, column] >= np.maximum(low, high)) & (bend > 1e-9)
        offsets[:, axis] = np.where(top, (high - low) / (2 * np.maximum(bend, 1e-9)), 0)
    return np.clip(offsets, -0.5, 0.5) / cells
