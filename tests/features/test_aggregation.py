"""From maps to descriptors: centred, on one grid, of unit length, with equal weights; and cells to pixels by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uld_explorer.features.aggregation import (
    Centering,
    cell_positions,
    describe,
    fit_centering,
    resample,
    to_pixels,
)
from uld_explorer.features.store import FeatureMaps

RNG = np.random.default_rng(0)


def feature_maps(**layers: np.ndarray) -> FeatureMaps:
    affines = np.tile(np.eye(2, 3), (len(next(iter(layers.values()))), 1, 1))
    return FeatureMaps({name: values.astype(np.float16) for name, values in layers.items()}, affines)


@pytest.fixture()
def maps() -> FeatureMaps:
    return feature_maps(a=RNG.normal(3, 1, (6, 4, 8, 8)), b=100 * RNG.normal(0, 1, (6, 7, 16, 16)))


@pytest.mark.parametrize("cells", [4, 8, 11, 16, 24])
def test_every_cell_has_unit_length(maps: FeatureMaps, cells: int) -> None:
    descriptors = describe(maps, [0, 5], fit_centering(maps), cells)
    assert descriptors.shape == (2, 11, cells, cells) and descriptors.dtype == torch.float32
    np.testing.assert_allclose(descriptors.norm(dim=1), 1, atol=1e-5)


def test_layers_weigh_the_same_whatever_their_size_or_scale(maps: FeatureMaps) -> None:
    descriptors = describe(maps, [0, 1, 2], fit_centering(maps), 8)
    np.testing.assert_allclose(descriptors[:, :4].norm(dim=1), np.sqrt(0.5), atol=1e-5)
    np.testing.assert_allclose(descriptors[:, 4:].norm(dim=1), np.sqrt(0.5), atol=1e-5)


def test_the_centre_is_the_mean_over_pictures_and_cells() -> None:
    values = np.array([[[[1, 3]], [[0, 0]]], [[[5, 7]], [[2, 6]]]]).reshape(2, 2, 1, 2)
    means = fit_centering(feature_maps(a=values)).means
    np.testing.assert_allclose(means["a"], [4, 2])
    assert means["a"].dtype == np.float32


def test_the_centre_of_many_pictures_is_taken_from_an_even_sample() -> None:
    values = np.arange(6.0).reshape(6, 1, 1, 1)
    np.testing.assert_allclose(fit_centering(feature_maps(a=values), sample=2).means["a"], [2.5])
    np.testing.assert_allclose(fit_centering(feature_maps(a=values), sample=1).means["a"], [0])


def test_a_descriptor_worked_out_by_hand() -> None:
    maps = feature_maps(a=np.array([4.0, 6.0]).reshape(1, 2, 1, 1), b=np.full((1, 1, 1, 1), -5.0))
    centering = Centering({"a": np.array([1, 2], np.float32), "b": np.zeros(1, np.float32)})
    found = describe(maps, [0], centering, 1).flatten()
    np.testing.assert_allclose(found, np.array([3 / 5, 4 / 5, -1]) / np.sqrt(2), rtol=1e-6)


def test_a_picture_is_described_alone_as_among_others(maps: FeatureMaps) -> None:
    centering = fit_centering(maps)
    together = describe(maps, np.arange(6), centering, 16)
    for row in (0, 3):
        np.testing.assert_array_equal(describe(maps, [row], centering, 16)[0], together[row])


def ramp(side: int) -> torch.Tensor:
    """A map whose value is 2 x + 3 y + 1 in crop units, at cell centres."""
    x, y = torch.from_numpy(cell_positions(side)).float().reshape(side, side, 2).unbind(-1)
    return (2 * x + 3 * y + 1)[None, None]


@pytest.mark.parametrize(("side", "cells"), [(8, 8), (16, 8), (32, 8), (12, 4), (8, 16), (8, 20), (16, 24)])
def test_resampling_keeps_constants_and_ramps(side: int, cells: int) -> None:
    constant = resample(torch.full((2, 3, side, side), 0.7), cells)
    assert constant.shape == (2, 3, cells, cells)
    np.testing.assert_allclose(constant, 0.7, rtol=1e-6)
    rim = int(np.ceil(cells / side / 2)) if cells > side else 0  # beyond the outermost centres there is no slope
    inner = slice(rim, cells - rim)
    np.testing.assert_allclose(
        resample(ramp(side), cells)[..., inner, inner], ramp(cells)[..., inner, inner], atol=1e-5
    )


def test_a_coarser_cell_is_the_mean_of_its_area() -> None:
    fine = torch.arange(16.0).reshape(1, 1, 4, 4)
    np.testing.assert_allclose(resample(fine, 2)[0, 0], [[2.5, 4.5], [10.5, 12.5]])


def test_cells_are_numbered_row_by_row_from_the_top_left() -> None:
    expected = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    np.testing.assert_allclose(cell_positions(2), expected)


def test_crop_units_to_pixels_by_hand() -> None:
    turned = np.array([[0.0, -40.0, 90.0], [40.0, 0.0, 10.0]])  # a quarter turn, side 40
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.25, 1.0]])
    np.testing.assert_allclose(to_pixels(points, turned), [[90, 10], [90, 50], [70, 30], [50, 20]])
    np.testing.assert_allclose(to_pixels(points[1], turned), [90, 50])
