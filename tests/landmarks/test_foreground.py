"""A foreground without boxes: what is seldom at the edge of the pictures is found, outlined and found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ColourBackbone, pixel_centres
from uld_explorer.data.regions import region_cells
from uld_explorer.events import drain
from uld_explorer.features.aggregation import Aggregation
from uld_explorer.landmarks.foreground import CELLS, Foreground, foreground_mask, iter_foreground_regions
from uld_explorer.types import ImageSet, Regions

SIDE = 64


def squares(folder: Path, count: int, seed: int) -> tuple[ImageSet, np.ndarray]:
    """Bright squares at random places on a noisy background, and their boxes (N, 4)."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    edge = rng.integers(28, 37, count)
    corner = rng.integers(6, 58 - edge[:, None], (count, 2))
    paths = tuple(folder / f"{i}.png" for i in range(count))
    for path, (x, y), side in zip(paths, corner, edge, strict=True):
        picture = np.full((SIDE, SIDE, 3), (60, 80, 70)) + rng.normal(0, 8, (SIDE, SIDE, 3))
        picture[y : y + side, x : x + side] += (150, 120, 20)
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path)
    ids = tuple(f"squares-{seed}-{i}" for i in range(count))
    boxes = np.column_stack([corner, edge, edge]).astype(float)
    return ImageSet(ids, tuple(p.name for p in paths), paths, np.full((count, 2), SIDE)), boxes


def overlaps(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes x, y, w, h."""
    low = np.maximum(found[:, :2], truth[:, :2])
    high = np.minimum(found[:, :2] + found[:, 2:], truth[:, :2] + truth[:, 2:])
    common = np.clip(high - low, 0, None).prod(1)
    return common / (found[:, 2:].prod(1) + truth[:, 2:].prod(1) - common)


def look(images: ImageSet, fitted: Foreground | None = None, margin: float = 0.0) -> tuple[Regions, Foreground]:
    backbone = ColourBackbone(SIDE, slope=0.0)
    return drain(iter_foreground_regions(images, backbone, seed=0, batch=8, margin=margin, fitted=fitted))


@pytest.fixture()
def found(tmp_path: Path, data_dir: Path) -> tuple[Regions, Foreground, np.ndarray, ImageSet]:
    images, boxes = squares(tmp_path / "squares", 12, 0)
    return (*look(images), boxes, images)


def test_the_box_covers_the_object(found: tuple[Regions, Foreground, np.ndarray, ImageSet]) -> None:
    regions, _, truth, _ = found
    assert regions.source == "foreground" and (regions.angles == 0).all()
    assert overlaps(regions.boxes, truth).min() > 0.7


def test_the_mask_lies_in_the_object(found: tuple[Regions, Foreground, np.ndarray, ImageSet]) -> None:
    regions, _, truth, _ = found
    assert regions.masks is not None and regions.masks.shape == (12, CELLS, CELLS)
    for box, mask, true in zip(regions.boxes, regions.masks, truth, strict=True):
        side = box[2:].max()
        places = pixel_centres(CELLS) * side / CELLS + box[:2] + box[2:] / 2 - side / 2
        inside = ((places > true[:2] - 1) & (places < true[:2] + true[2:] + 1)).all(-1)
        assert inside[mask].mean() > 0.75 and mask[inside].mean() > 0.75
    assert region_cells(regions, 16).any((1, 2)).all()


def test_the_margin_enlarges_the_box(found: tuple[Regions, Foreground, np.ndarray, ImageSet]) -> None:
    regions, _, _, images = found
    wider, _ = look(images, margin=0.5)
    np.testing.assert_allclose(wider.boxes[:, 2:], 1.5 * regions.boxes[:, 2:])
    centre = regions.boxes[:, :2] + regions.boxes[:, 2:] / 2
    np.testing.assert_allclose(wider.boxes[:, :2] + wider.boxes[:, 2:] / 2, centre)


def test_what_was_learned_serves_a_single_new_picture(
    found: tuple[Regions, Foreground, np.ndarray, ImageSet], tmp_path: Path
) -> None:
    images, truth = squares(tmp_path / "one", 1, 5)
    kept = Foreground.from_tensors(found[1].to_tensors())
    regions, used = look(images, fitted=kept)
    assert used is kept
    assert overlaps(regions.boxes, truth).min() > 0.7


def test_it_is_the_same_twice(found: tuple[Regions, Foreground, np.ndarray, ImageSet]) -> None:
    regions, _, _, images = found
    again, _ = look(images)
    np.testing.assert_array_equal(regions.boxes, again.boxes)
    np.testing.assert_array_equal(regions.masks, again.masks)


def test_where_all_is_background_the_whole_picture_is_taken() -> None:
    centroids = np.eye(2, 3, dtype=np.float32)
    nothing = Foreground(centroids, np.array([-1.0, -2.0]), Aggregation({}, {}))
    descriptors = np.tile(centroids[:1], (CELLS**2, 1))
    assert foreground_mask(nothing, descriptors).all()


def test_only_the_largest_patch_is_kept_and_its_holes_are_filled() -> None:
    centroids = np.eye(2, dtype=np.float32)
    plan = np.zeros((CELLS, CELLS), int)
    plan[6:22, 6:22] = 1
    plan[13:15, 13:15] = 0
    plan[27:30, 27:30] = 1
    model = Foreground(centroids, np.array([-1.0, 1.0]), Aggregation({}, {}))
    mask = foreground_mask(model, centroids[plan.ravel()])
    assert mask[8:20, 8:20].all() and not mask[25:].any() and not mask[:4].any()
