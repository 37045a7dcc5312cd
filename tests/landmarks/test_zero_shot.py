"""ZeroShot: exemplars chosen by hand, refinement on parabolas, and planted landmarks that are found again."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import GREY, SPREAD, ColourBackbone, dotted_set, paint_dots, pixel_centres
from uld_explorer.data.regions import whole_regions
from uld_explorer.events import drain
from uld_explorer.features.aggregation import cell_positions
from uld_explorer.landmarks.zero_shot import (
    Codebook,
    ZeroShotSettings,
    choose_clusters,
    draw_cells,
    exemplars,
    iter_fit,
    iter_predict,
    refine_offsets,
    search_cells,
)
from uld_explorer.types import ImageSet, Keypoints, Landmarks, Regions, UserError

CELLS = 24
CELL = 2.0
"""Pixels of a cell: 48 px pictures on a map of 24 cells."""
EVERYTHING = 4096
"""More pixels than a region has."""


def chosen(**changes: object) -> ZeroShotSettings:
    """Three dots and the background make four clusters."""
    return ZeroShotSettings.from_json(
        {"landmarks": 4, "map_size": CELLS, "restarts": 5, "oversegment": 1, "whitening": 0.0, "rim": 0.0, **changes}
    )


def fit(images: ImageSet, settings: ZeroShotSettings) -> tuple[Codebook, Landmarks, Keypoints]:
    codebook, found = drain(iter_fit(images, whole_regions(images), settings, ColourBackbone()))
    return codebook, found.landmarks, found.keypoints


@pytest.fixture()
def images(tmp_path: Path, data_dir: Path) -> ImageSet:
    return dotted_set(tmp_path / "pictures", 8)


# --- exemplars ----------------------------------------------------------------------------------------------------


def test_the_exemplar_is_the_nearest_of_the_cells_of_its_cluster() -> None:
    similarity = np.array(
        [
            [0.9, 0.1, 0.0],
            [0.8, 0.95, 0.0],  # near to the first centroid, but of the second cluster
            [0.5, 0.6, 0.0],
            [0.7, 0.2, 0.1],
        ]
    )
    best = exemplars(similarity, np.arange(4))
    np.testing.assert_array_equal(best, [0, 1, -1])


def test_a_cluster_does_not_borrow_a_cell_of_another_one() -> None:
    best = exemplars(np.array([[0.99, 1.0], [0.98, 1.0]]), np.arange(2))
    np.testing.assert_array_equal(best, [-1, 0])


def test_only_the_candidates_are_searched() -> None:
    similarity = np.array([[0.9, 0.0], [0.8, 0.0], [0.0, 0.3], [0.0, 0.4]])
    best = exemplars(similarity, np.array([1, 2]))
    np.testing.assert_array_equal(best, [1, 2])
    best = exemplars(similarity, np.array([], int))
    np.testing.assert_array_equal(best, [-1, -1])


def test_exemplars_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    similarity, cells = rng.random((100, 12)), np.sort(rng.choice(100, 30, replace=False))
    best = exemplars(similarity, cells)
    for k in range(12):
        mine = [c for c in cells if similarity[c].argmax() == k]
        assert best[k] == (max(mine, key=lambda c: similarity[c, k]) if mine else -1)


# --- between cells ------------------------------------------------------------------------------------------------


def parabola(top: np.ndarray, cells: int) -> np.ndarray:
    """(cells * cells, 1) with its top at `top`, x and y in cells from the centre of the first one."""
    place = cell_positions(cells) * cells - 0.5
    return 1 - 0.01 * ((place - top) ** 2).sum(1, keepdims=True)


@pytest.mark.parametrize("top", [(3.0, 4.0), (3.3, 4.4), (2.6, 3.8), (5.49, 2.51)])
def test_the_top_of_a_parabola_is_found_exactly(top: tuple[float, float]) -> None:
    similarity = parabola(np.array(top), 8)
    best = similarity.argmax(0)
    found = cell_positions(8)[best] + refine_offsets(similarity, best, 8)
    np.testing.assert_allclose(found * 8 - 0.5, [top], atol=1e-6)


def test_no_offset_exceeds_half_a_cell() -> None:
    rng = np.random.default_rng(0)
    offsets = refine_offsets(rng.random((64, 500)), rng.integers(0, 64, 500), 8)
    assert np.abs(offsets).max() <= 0.5 / 8


def test_cells_that_are_no_top_and_flat_ones_stay_where_they_are() -> None:
    slope = cell_positions(8)[:, :1]
    np.testing.assert_array_equal(refine_offsets(slope, np.array([27]), 8), [[0, 0]])
    np.testing.assert_array_equal(refine_offsets(np.ones((64, 1)), np.array([27]), 8), [[0, 0]])


@pytest.mark.parametrize(("best", "axis"), [(0, 0), (7, 0), (56, 1), (63, 1)])
def test_nothing_is_refined_across_the_border(best: int, axis: int) -> None:
    row, column = divmod(best, 8)
    similarity = parabola(np.array([column, row]) + np.where([column, row], 0.3, -0.3), 8)
    offsets = refine_offsets(similarity, np.array([best]), 8)
    assert offsets[0, axis] == 0


# --- drawing pixels -----------------------------------------------------------------------------------------------


def test_drawn_cells_are_different_cells_of_the_region() -> None:
    inside = np.zeros((8, 8), bool)
    inside[2:5, 3:8] = True
    drawn = draw_cells(inside, 6, 0, "a")
    assert len(set(drawn)) == 6 and inside.ravel()[drawn].all()
    np.testing.assert_array_equal(drawn, np.sort(drawn))
    np.testing.assert_array_equal(drawn, draw_cells(inside, 6, 0, "a"))
    assert not np.array_equal(drawn, draw_cells(inside, 6, 1, "a"))
    assert not np.array_equal(drawn, draw_cells(inside, 6, 0, "b"))


@pytest.mark.parametrize("count", [0, 15, 1000])
def test_all_cells_are_taken_where_there_are_not_more(count: int) -> None:
    inside = np.zeros((8, 8), bool)
    inside[2:5, 3:8] = True
    np.testing.assert_array_equal(draw_cells(inside, count, 0, "a"), np.flatnonzero(inside))


# --- the whole method on planted landmarks -------------------------------------------------------------------------


def dots_found(landmarks: Landmarks, truth: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Which landmark is which dot, one for all pictures, and the distances (N, 3) in cells."""
    matches = permutations(range(landmarks.xy.shape[1]), truth.shape[1])
    best = min(matches, key=lambda m: np.nan_to_num(landmarks.xy[:, m] - truth, nan=99).__abs__().sum())
    return list(best), np.linalg.norm(landmarks.xy[:, best] - truth, axis=-1) / CELL


def test_planted_landmarks_are_found_and_keep_their_identity(images: ImageSet, tmp_path: Path) -> None:
    assert images.annotations is not None
    codebook, landmarks, _ = fit(images, chosen())
    match, distance = dots_found(landmarks, images.annotations.xy)
    assert distance.max() < 1, "every dot within a cell, by the same landmark in every picture"
    others = dotted_set(tmp_path / "others", 5, seed=9)
    assert others.annotations is not None
    seen = drain(iter_predict(others, whole_regions(others), chosen(), ColourBackbone(), codebook)).landmarks
    assert np.linalg.norm(seen.xy[:, match] - others.annotations.xy, axis=-1).max() / CELL < 1


def test_a_landmark_that_is_not_in_a_picture_is_missing_there(images: ImageSet) -> None:
    assert images.annotations is not None
    hidden, place = 2, images.annotations.xy[2, 1]
    picture = paint_dots(images.annotations.xy[hidden], 48)
    picture[np.linalg.norm(pixel_centres(48) - place, axis=-1) < 4 * SPREAD] = GREY
    Image.fromarray(picture).save(images.paths[hidden])
    _, landmarks, _ = fit(images, chosen())
    seen = np.delete(np.arange(len(images)), hidden)
    match, _ = dots_found(landmarks.take(seen), images.annotations.xy[seen])
    assert landmarks.present[seen][:, match].all()
    np.testing.assert_array_equal(landmarks.present[hidden, match], [True, False, True])


def test_what_is_missing_has_no_place_and_no_score(images: ImageSet) -> None:
    _, landmarks, keypoints = fit(images, chosen(landmarks=12, test_pixels=9))
    assert landmarks.xy.shape == (8, 12, 2)
    missing = ~landmarks.present
    assert missing.any() and landmarks.present.any()
    assert np.isnan(landmarks.xy[missing]).all() and (landmarks.score[missing] == 0).all()
    assert np.isfinite(landmarks.xy[landmarks.present]).all()
    np.testing.assert_array_equal(np.stack([keypoints.image, keypoints.label]), np.nonzero(landmarks.present))
    np.testing.assert_array_equal(keypoints.xy, landmarks.xy[landmarks.present])
    np.testing.assert_allclose(np.linalg.norm(keypoints.descriptor, axis=1), 1, atol=1e-3)


def test_refinement_moves_a_landmark_by_half_a_cell_at_most(images: ImageSet) -> None:
    _, rough, _ = fit(images, chosen(refine=False))
    _, fine, _ = fit(images, chosen())
    moved = np.abs(rough.xy - fine.xy)[rough.present]
    assert 0 < moved.max() <= CELL / 2 + 1e-9
    np.testing.assert_allclose((rough.xy[rough.present] / CELL) % 1, 0.5, atol=1e-9)


def test_only_the_region_is_searched(images: ImageSet) -> None:
    assert images.annotations is not None
    boxes = np.hstack([images.annotations.xy[:, 0] - 7, np.full((8, 2), 14.0)])
    regions = Regions(boxes, np.zeros(8))
    landmarks = drain(iter_fit(images, regions, chosen(landmarks=2), ColourBackbone()))[1].landmarks
    inside = (landmarks.xy >= boxes[:, None, :2]) & (landmarks.xy <= boxes[:, None, :2] + 14)
    assert inside[landmarks.present].all()


def test_the_same_seed_gives_the_same_landmarks_whatever_the_batch(images: ImageSet, monkeypatch, tmp_path) -> None:
    _, first, _ = fit(images, chosen(batch=1))
    monkeypatch.setenv("ULD_DATA_DIR", str(tmp_path / "elsewhere"))
    _, second, _ = fit(images, chosen(batch=5))
    np.testing.assert_array_equal(first.xy, second.xy)
    np.testing.assert_array_equal(first.score, second.score)


def test_permuted_pictures_have_permuted_landmarks(images: ImageSet) -> None:
    order = np.random.default_rng(0).permutation(len(images))
    settings = chosen(pixels=EVERYTHING)
    codebook, landmarks, _ = fit(images, settings)
    shuffled = images.take(order)
    predicted = drain(iter_predict(shuffled, whole_regions(shuffled), settings, ColourBackbone(), codebook)).landmarks
    np.testing.assert_array_equal(predicted.xy, landmarks.xy[order])
    assert images.annotations is not None
    match, _ = dots_found(landmarks, images.annotations.xy)
    _, again, _ = fit(shuffled, settings)
    match_again, _ = dots_found(again, images.annotations.xy[order])
    np.testing.assert_allclose(again.xy[:, match_again], landmarks.xy[order][:, match], atol=0.05 * CELL)


def test_the_rim_is_not_searched_unless_there_is_nothing_else() -> None:
    regions = Regions(np.array([[0.0, 0, 48, 48], [0, 0, 48, 48]]), np.zeros(2), None)
    cells = search_cells(regions, chosen(map_size=8, rim=0.2))
    assert cells.sum() == 2 * 16 and cells[:, 2:6, 2:6].all()
    edge = np.zeros((1, 8, 8), bool)
    edge[0, 0] = True
    only = Regions(regions.boxes[:1], np.zeros(1), edge)
    np.testing.assert_array_equal(search_cells(only, chosen(map_size=8, rim=0.2)), edge)


def test_the_best_clusters_are_frequent_alike_and_different() -> None:
    """By hand: 0 is the best; 1 nearly repeats it; 2 is rare; 3 is unlike 0 and frequent."""
    centroids = np.array([[1, 0, 0], [0.99, np.sqrt(1 - 0.99**2), 0], [0, 1, 0], [0, 0, 1]], np.float32)
    present = np.array([[1, 1, 0, 1], [1, 1, 0, 1], [1, 1, 1, 1], [1, 1, 0, 0]], bool)
    score = np.where(present, np.array([0.9, 0.85, 0.9, 0.8]), 0).astype(np.float32)
    found = Landmarks(np.zeros((4, 4, 2)), present, score)
    np.testing.assert_array_equal(choose_clusters(centroids, found, 2), [0, 3])
    np.testing.assert_array_equal(choose_clusters(centroids, found, 4), [0, 3, 2, 1])


def test_oversegmented_landmarks_are_numbered_anew_and_predicted_alike(images: ImageSet) -> None:
    settings = chosen(landmarks=3, oversegment=4)
    codebook, landmarks, keypoints = fit(images, settings)
    assert len(codebook.centroids) == 12 and len(codebook.chosen) == landmarks.xy.shape[1] == 3
    np.testing.assert_array_equal(np.stack([keypoints.image, keypoints.label]), np.nonzero(landmarks.present))
    np.testing.assert_array_equal(keypoints.xy, landmarks.xy[landmarks.present])
    again = drain(iter_predict(images, whole_regions(images), settings, ColourBackbone(), codebook)).landmarks
    np.testing.assert_array_equal(again.xy, landmarks.xy)


def test_too_few_pixels_for_the_clusters_are_refused(images: ImageSet) -> None:
    with pytest.raises(UserError, match="40 clusters"):
        fit(images, chosen(landmarks=40, pixels=4))
