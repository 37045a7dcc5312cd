"""Views of pictures: geometry is exact, seeds hold, colours change only where they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uld_explorer.data.augmentation import ViewRanges, compose, draw_views, invert, tint, view_affines, view_pictures
from uld_explorer.data.regions import read_crop
from uld_explorer.types import ImageSet

IDS = ("aaaaaaaa", "bbbbbbbb", "cccccccc")


def pictures(path: Path) -> ImageSet:
    return ImageSet(IDS, ("a", "b", "c"), (path,) * 3, np.full((3, 2), 90))


def test_view_zero_is_the_crop_itself() -> None:
    views = draw_views(IDS, 4, ViewRanges(), seed=0)
    assert np.allclose(views.transforms[:, 0], np.eye(2, 3))
    assert not views.mirrored[:, 0].any()


def test_mirrored_views_turn_orientation_around_and_others_do_not() -> None:
    views = draw_views(IDS, 5, ViewRanges(), seed=0)
    sign = np.sign(np.linalg.det(views.transforms[..., :2]))
    assert (sign == np.where(views.mirrored, -1, 1)).all()
    assert views.mirrored[:, 1:].any() and not views.mirrored[:, 1:].all()


def test_scale_rotation_and_shift_stay_in_their_ranges() -> None:
    ranges = ViewRanges(rotation=20, scale=(0.9, 1.1), shift=0.03)
    views = draw_views(tuple(f"{i:08d}" for i in range(40)), 6, ranges, seed=1)
    linear = views.transforms[:, 1:, :, :2]
    size = np.sqrt(np.abs(np.linalg.det(linear)))
    assert size.min() >= 0.9 and size.max() <= 1.1
    centre = linear @ np.full(2, 0.5) + views.transforms[:, 1:, :, 2]
    assert np.abs(centre - 0.5).max() <= 0.03 + 1e-12
    turned = np.degrees(np.arctan2(-linear[..., 0, 1], linear[..., 1, 1]))
    assert np.abs(turned).max() <= 20 + 1e-9


def test_a_pictures_views_do_not_depend_on_its_neighbours() -> None:
    every, last = draw_views(IDS, 3, ViewRanges(), 5), draw_views(IDS[2:], 3, ViewRanges(), 5)
    assert np.array_equal(every.transforms[2], last.transforms[0])
    assert not np.allclose(every.transforms[2], draw_views(IDS[2:], 3, ViewRanges(), 6).transforms[0])


def test_inverse_and_composition() -> None:
    transforms = draw_views(IDS, 4, ViewRanges(), 2).transforms
    assert np.allclose(compose(transforms, invert(transforms)), np.eye(2, 3))
    shift, scale = np.array([[1.0, 0, 3], [0, 1, 4]]), np.array([[2.0, 0, 0], [0, 2, 0]])
    assert np.allclose(compose(shift, scale), [[2, 0, 3], [0, 2, 4]])
    assert np.allclose(compose(scale, shift), [[2, 0, 6], [0, 2, 8]])


def test_a_spot_appears_in_every_view_where_the_transform_sends_it(tmp_path: Path) -> None:
    """A white square in a real picture, cropped through the views' affines, mirrored ones included."""
    picture = np.zeros((90, 90, 3), np.uint8)
    picture[50:56, 36:42] = 255
    path = tmp_path / "spot.png"
    Image.fromarray(picture).save(path)
    crop = np.array([[60.0, 0, 15], [0, 60, 20]])
    views = draw_views(IDS[:1], 5, ViewRanges(30, (0.8, 1.2), 0.05), seed=3)
    spot = np.array([(39 - 15) / 60, (53 - 20) / 60])
    for view, affine in enumerate(view_affines(crop[None], views)):
        seen = read_crop(path, affine, 64)[..., 0].astype(float)
        rows, columns = np.mgrid[:64, :64]
        found = np.array([(seen * columns).sum(), (seen * rows).sum()]) / seen.sum() / 64 + 0.5 / 64
        expected = views.transforms[0, view, :, :2] @ spot + views.transforms[0, view, :, 2]
        assert found == pytest.approx(expected, abs=0.01), view


def test_views_have_ids_of_their_own_view_after_view(tmp_path: Path) -> None:
    repeated = view_pictures(pictures(tmp_path / "x.png"), draw_views(IDS, 3, ViewRanges(), 0))
    assert repeated.ids[:4] == ("aaaaaaaa", "aaaaaaaa~view1", "aaaaaaaa~view2", "bbbbbbbb")
    assert len(set(repeated.ids)) == 9 and repeated.names[3:6] == ("b", "b", "b")


def test_tint_changes_views_only_and_the_same_way_each_time() -> None:
    crop = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(tint(crop, "aaaaaaaa"), crop)
    once, twice, other = tint(crop, "aaaaaaaa~view1"), tint(crop, "aaaaaaaa~view1"), tint(crop, "aaaaaaaa~view2")
    assert np.array_equal(once, twice) and once.shape == crop.shape and once.dtype == np.uint8
    assert not np.array_equal(once, crop) and not np.array_equal(once, other)
