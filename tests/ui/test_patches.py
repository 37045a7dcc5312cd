"""Patches show what is at their point, whatever the size of the copy, and sheets have their tiles in order."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.ui.conftest import make_images
from uld_explorer.types import ImageSet
from uld_explorer.ui import patches


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return make_images(tmp_path_factory.mktemp("pictures"))


def decode(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")


def ramp(width: int = 100, height: int = 60) -> Image.Image:
    """Red grows by 2 a pixel to the right, green by 4 a pixel downwards; nothing in it is black."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([2 * x + 10, 4 * y + 10, np.full_like(x, 99)], -1).astype(np.uint8))


def test_a_patch_shows_the_square_around_its_point() -> None:
    """Half of 0.2 times the shorter side in every direction: 12 by 12 pixels around (40, 30)."""
    patch = np.asarray(patches.cut(ramp(), np.array([100, 60]), np.array([40.0, 30.0]), 0.2), float)
    assert patch.shape == (patches.PATCH, patches.PATCH, 3)
    # Columns 34...45 and rows 24...35 of the ramp.
    np.testing.assert_allclose(patch.mean((0, 1)), [2 * 39.5 + 10, 4 * 29.5 + 10, 99], atol=1)
    np.testing.assert_allclose([patch[28, 0, 0], patch[28, -1, 0]], [2 * 34 + 10, 2 * 45 + 10], atol=2)
    np.testing.assert_allclose([patch[0, 28, 1], patch[-1, 28, 1]], [4 * 24 + 10, 4 * 35 + 10], atol=3)


def test_a_patch_at_the_border_keeps_its_scale_and_is_black_outside() -> None:
    """The point stays in the middle: six of twelve columns and rows lie outside of the picture."""
    patch = np.asarray(patches.cut(ramp(), np.array([100, 60]), np.array([0.0, 0.0]), 0.2), float)
    assert patch.shape == (patches.PATCH, patches.PATCH, 3)
    assert (patch[:25] == 0).all() and (patch[:, :25] == 0).all()
    assert patch[-1, -1] == pytest.approx([2 * 5 + 10, 4 * 5 + 10, 99], abs=3)


def test_a_smaller_copy_gives_the_same_patch() -> None:
    """Points are in pixels of the original; the copy is what lies in the run's folder."""
    copy, size, xy = ramp(), np.array([200, 120]), np.array([80.0, 60.0])
    original = copy.resize((200, 120), Image.Resampling.BILINEAR)
    large, small = (np.asarray(patches.cut(picture, size, xy, 0.2), float) for picture in (original, copy))
    assert np.abs(large - small).mean() < 2


def test_the_atlas_has_the_tiles_in_the_order_of_the_points(images: ImageSet) -> None:
    """Whatever the order in which the pictures are opened; the last row may be half empty. Point 1 lies far outside."""
    rows, xy = [2, 0, 3, 1, 0], np.full((5, 2), [30.0, 20.0])
    xy[1] = -500
    sheet = decode(patches.atlas(images, xy, rows, columns=2))
    assert sheet.size == (2 * patches.PATCH, 3 * patches.PATCH)
    for tile, row in enumerate(rows):
        x, y = tile % 2 * patches.PATCH, tile // 2 * patches.PATCH
        colours = np.asarray(sheet.crop((x + 8, y + 8, x + patches.PATCH - 8, y + patches.PATCH - 8)), float)
        expected = [0, 0, 0] if tile == 1 else [40 * row + 40, 100, 200 - 40 * row]
        np.testing.assert_allclose(colours.mean((0, 1)), expected, atol=8)


def test_a_sheet_of_pictures_has_them_in_order(images: ImageSet) -> None:
    sheet = decode(patches.picture_atlas(images, np.array([3, 0]), columns=2))
    assert sheet.size == (2 * patches.PATCH, patches.PATCH)
    for tile, row in enumerate((3, 0)):
        middle = sheet.getpixel((tile * patches.PATCH + 28, 28))
        np.testing.assert_allclose(np.array(middle, float), [40 * row + 40, 100, 200 - 40 * row], atol=8)


def test_a_small_picture_is_a_square(images: ImageSet) -> None:
    assert decode(patches.thumb(images, 1)).size == (patches.PATCH, patches.PATCH)
    assert decode(patches.patch(images, 1, np.array([30.0, 20.0]))).size == (patches.PATCH, patches.PATCH)
