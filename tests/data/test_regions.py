"""Regions of interest: crops worked out by hand, pixels where the affine says, errors that depend on no neighbour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uld_explorer.data.regions import (
    annotation_regions,
    box_regions,
    crop_affines,
    file_regions,
    jitter_regions,
    read_crop,
    region_cells,
    view_regions,
    whole_regions,
)
from uld_explorer.types import Annotations, ImageSet, Regions, UserError

RNG = np.random.default_rng(0)


def image_set(count: int = 3, annotations: Annotations | None = None) -> ImageSet:
    names = tuple(f"set/{i}.png" for i in range(count))
    ids = tuple(f"{i:016x}" for i in range(count))
    return ImageSet(ids, names, tuple(map(Path, names)), np.array([[100, 50]] * count), annotations=annotations)


def region(x: float, y: float, width: float, height: float, angle: float = 0.0) -> Regions:
    return Regions(np.array([[x, y, width, height]], float), np.array([angle], float))


def apply(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ affine[:, :2].T + affine[:, 2]


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


# --- which region -------------------------------------------------------------------------------------------------


def test_a_margin_enlarges_about_the_centre_and_no_box_means_the_whole_picture() -> None:
    boxes = np.array([[10, 20, 30, 40], [np.nan] * 4, [5, 5, 0, 10]], float)
    made = box_regions(image_set(), boxes, 0.2, "test")
    np.testing.assert_allclose(made.boxes, [[7, 16, 36, 48], [0, 0, 100, 50], [0, 0, 100, 50]])
    np.testing.assert_array_equal(made.angles, 0)
    np.testing.assert_array_equal(whole_regions(image_set()).boxes, [[0, 0, 100, 50]] * 3)


def test_annotated_boxes_need_annotations() -> None:
    boxes = np.array([[10, 20, 30, 40], [np.nan] * 4, [0, 0, 20, 20]], float)
    truth = Annotations(np.zeros((3, 1, 2)), np.zeros((3, 1), np.uint8), boxes, ("tip",))
    made = annotation_regions(image_set(annotations=truth), 0.0)
    np.testing.assert_allclose(made.boxes, [[10, 20, 30, 40], [0, 0, 100, 50], [0, 0, 20, 20]])
    for missing in (None, Annotations(truth.xy, truth.visibility, np.full((3, 4), np.nan), ("tip",))):
        with pytest.raises(UserError, match="--annotations"):
            annotation_regions(image_set(annotations=missing), 0.0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("boxes.csv", "image,x,y,width,height\nset/0.png,1,2,10,20\n2.png,3,4.5,10,20\n"),
        ("boxes.json", '{"set/0.png": [1, 2, 10, 20], "2.png": [3, 4.5, 10, 20]}'),
    ],
)
def test_boxes_from_a_file_by_the_pictures_names(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    made = file_regions(image_set(), tmp_path / name, 0.0)
    np.testing.assert_allclose(made.boxes, np.array([[1, 2, 10, 20], [0, 0, 100, 50], [3, 4.5, 10, 20]]))
    assert made.source == f"file {name}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{"),
        ("b.json", "[1, 2]"),
        ("c.json", '{"set/0.png": [1, 2, 3]}'),
        ("d.json", '{"set/0.png": 5}'),
        ("e.csv", "picture,x,y\nset/0.png,1,2\n"),
        ("f.csv", "image,x,y,width,height\nset/0.png,1,2,three,4\n"),
        ("g.csv", "image,x,y,width,height\nset/0.png,1,2\n"),
        ("h.csv", "\x89PNG\0\0"),
    ],
)
def test_what_is_no_file_of_boxes_says_what_one_looks_like(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=r"(not a file of boxes|No box in)"):
        file_regions(image_set(), tmp_path / name, 0.0)


def test_boxes_of_other_pictures_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"cat.png": [1, 2, 10, 20]}')
    with pytest.raises(UserError, match=r"such as set/0\.png"):
        file_regions(image_set(), tmp_path / "other.json", 0.0)
    with pytest.raises(UserError, match="whole, annotations, foreground"):
        file_regions(image_set(), tmp_path / "hole", 0.0)


# --- errors of the boxes ------------------------------------------------------------------------------------------


def test_no_error_changes_nothing() -> None:
    made = region(10, 20, 30, 40)
    assert jitter_regions(made, 0.0, 0, ("a",)) is made


def test_an_error_depends_on_the_picture_and_the_seed_only() -> None:
    boxes, ids = np.array([[10, 20, 30, 40]] * 4, float), ("a", "b", "c", "d")
    made = jitter_regions(Regions(boxes, np.zeros(4)), 0.1, 5, ids)
    alone = jitter_regions(Regions(boxes[2:3], np.zeros(1)), 0.1, 5, ids[2:3])
    np.testing.assert_array_equal(made.boxes[2:3], alone.boxes)
    np.testing.assert_array_equal(made.angles[2:3], alone.angles)
    assert len({tuple(box) for box in made.boxes}) == 4
    assert (jitter_regions(Regions(boxes, np.zeros(4)), 0.1, 6, ids).boxes != made.boxes).all()


def test_errors_have_the_spread_that_was_asked_for() -> None:
    count = 4000
    boxes = np.array([[0, 0, 50, 100]] * count, float)
    made = jitter_regions(Regions(boxes, np.zeros(count)), 0.05, 0, tuple(f"picture {i}" for i in range(count)))
    center = made.boxes[:, :2] + made.boxes[:, 2:] / 2
    np.testing.assert_allclose((center - [25, 50]).std(0), [2.5, 5], rtol=0.05)
    np.testing.assert_allclose(np.log(made.boxes[:, 2] / 50).std(), 0.05, rtol=0.05)
    np.testing.assert_allclose(np.radians(made.angles).std(), 0.05, rtol=0.05)
    np.testing.assert_allclose(made.boxes[:, 3], 2 * made.boxes[:, 2])


# --- crops --------------------------------------------------------------------------------------------------------

CORNERS = np.array([[0, 0], [1, 0], [0, 1], [0.5, 0.5]])


def test_the_crop_is_the_smallest_square_around_the_box() -> None:
    affine = crop_affines(region(10, 20, 30, 40))[0]
    np.testing.assert_allclose(apply(affine, CORNERS), [[5, 20], [45, 20], [5, 60], [25, 40]])


def test_a_quarter_turn_turns_x_towards_y() -> None:
    affine = crop_affines(region(10, 20, 30, 40, 90))[0]
    np.testing.assert_allclose(apply(affine, CORNERS), [[45, 20], [45, 60], [5, 20], [25, 40]])


def test_a_crop_at_the_pictures_own_scale_is_the_picture(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    path = save(tmp_path / "noise.png", pixels)
    crop = read_crop(path, crop_affines(region(5, 3, 16, 16))[0], 16)
    np.testing.assert_array_equal(crop, pixels[3:19, 5:21])


def test_outside_the_picture_its_edge_is_repeated(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    path = save(tmp_path / "noise.png", pixels)
    crop = read_crop(path, crop_affines(region(-8, -4, 48, 32))[0], 48)
    np.testing.assert_array_equal(crop, np.pad(pixels, ((12, 12), (8, 8), (0, 0)), mode="edge"))
    far = read_crop(path, crop_affines(region(1e9, 1e9, 16, 16))[0], 16)
    np.testing.assert_array_equal(far, np.broadcast_to(pixels[-1, -1], (16, 16, 3)))


def test_a_turned_crop_is_a_turned_picture(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    path = save(tmp_path / "noise.png", pixels)
    for angle, quarters in ((90, 1), (180, 2), (-90, -1)):
        crop = read_crop(path, crop_affines(region(0, 0, 20, 20, angle))[0], 20).astype(int)
        assert np.abs(crop - np.rot90(pixels, quarters)).max() <= 1


def test_a_big_picture_is_averaged_not_skipped(tmp_path: Path) -> None:
    checker = np.indices((128, 128)).sum(0) % 2 * 200 + 20
    path = save(tmp_path / "checker.png", np.repeat(checker[..., None], 3, 2).astype(np.uint8))
    crop = read_crop(path, crop_affines(region(0, 0, 128, 128))[0], 16)
    assert np.abs(crop.astype(int) - 120).max() <= 1
    ramp = np.repeat(np.repeat(np.arange(128)[None, :, None], 128, 0), 3, 2).astype(np.uint8)
    crop = read_crop(save(tmp_path / "ramp.png", ramp), crop_affines(region(0, 0, 128, 128))[0], 32)
    np.testing.assert_allclose(crop[5, :, 0], np.arange(32) * 4 + 1.5, atol=0.6)


@pytest.mark.parametrize("angle", [0.0, 25.0, -140.0])
@pytest.mark.parametrize("size", [24, 64])
def test_a_bright_dot_lands_where_the_affine_says(tmp_path: Path, angle: float, size: int) -> None:
    dot = np.array([70.5, 41.5])
    y, x = np.mgrid[0:90, 0:120] + 0.5
    bump = 255 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (2 * 4.0**2))
    path = save(tmp_path / "dot.png", np.repeat(bump[..., None], 3, 2).round().astype(np.uint8))
    affine = crop_affines(region(30, 10, 80, 60, angle))[0]
    crop = read_crop(path, affine, size)[..., 0].astype(float)
    centers = (np.arange(size) + 0.5) / size
    weight = crop / crop.sum()
    unit = np.array([(weight.sum(0) * centers).sum(), (weight.sum(1) * centers).sum()])
    np.testing.assert_allclose(apply(affine, unit), dot, atol=0.15)


# --- cells and views ----------------------------------------------------------------------------------------------


def test_the_cells_of_a_box_twice_as_wide_as_high() -> None:
    inside = region_cells(region(0, 0, 100, 50), 8)[0]
    expected = np.zeros((8, 8), bool)
    expected[2:6] = True
    np.testing.assert_array_equal(inside, expected)


def test_a_mask_narrows_the_cells_and_an_empty_mask_does_not() -> None:
    masks = np.zeros((2, 4, 4), bool)
    masks[0, :, :2] = True
    made = Regions(np.array([[0, 0, 100, 50]] * 2, float), np.zeros(2), masks)
    cells = region_cells(made, 8)
    expected = np.zeros((8, 8), bool)
    expected[2:6, :4] = True
    np.testing.assert_array_equal(cells[0], expected)
    np.testing.assert_array_equal(cells[1], region_cells(region(0, 0, 100, 50), 8)[0])


def similarities(count: int) -> np.ndarray:
    angle, scale = RNG.uniform(-3, 3, count), RNG.uniform(0.7, 1.4, count)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], 1)
    return np.concatenate([linear, RNG.uniform(-20, 20, (count, 2, 1))], -1)


def test_a_view_sees_through_the_inverse_transform() -> None:
    boxes = np.column_stack([RNG.uniform(0, 50, (6, 2)), RNG.uniform(20, 60, (6, 2))])
    regions = Regions(boxes, RNG.uniform(-90, 90, 6))
    transform = similarities(6)
    units = RNG.uniform(0, 1, (10, 2))
    before, after = crop_affines(regions), crop_affines(view_regions(regions, transform))
    for row in range(6):
        linear, shift = transform[row, :, :2], transform[row, :, 2]
        expected = (apply(before[row], units) - shift) @ np.linalg.inv(linear).T
        np.testing.assert_allclose(apply(after[row], units), expected, atol=1e-9)


def test_a_views_mask_covers_the_same_place_in_the_picture() -> None:
    masks = np.zeros((1, 16, 16), bool)
    masks[0, 4:12, 2:9] = True
    made = Regions(np.array([[10, 20, 40, 40]], float), np.zeros(1), masks)
    still = view_regions(made, np.array([[[1.0, 0, 0], [0, 1.0, 0]]]))
    np.testing.assert_array_equal(still.masks, masks)
    shifted = view_regions(made, np.array([[[1.0, 0, 10.0], [0, 1.0, 0]]]))
    assert shifted.masks is not None
    np.testing.assert_allclose(shifted.boxes, [[0, 20, 40, 40]])
    np.testing.assert_array_equal(shifted.masks[0, :, 4:], masks[0, :, :12])
    assert not shifted.masks[0, :, :4].any()
