"""From maps to descriptors: centred, on one grid, of unit length, with equal weights; and cells to pixels by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uld_explorer.features.aggregation import (
    Aggregation,
    cell_positions,
    describe,
    fit_aggregation,
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
    descriptors = describe(maps, [0, 5], fit_aggregation(maps), cells)
    assert descriptors.shape == (2, 11, cells, cells) and descriptors.dtype == torch.float32
    np.testing.assert_allclose(descriptors.norm(dim=1), 1, atol=1e-5)


def test_layers_weigh_the_same_whatever_their_size_or_scale(maps: FeatureMaps) -> None:
    descriptors = describe(maps, [0, 1, 2], fit_aggregation(maps), 8)
    np.testing.assert_allclose(descriptors[:, :4].norm(dim=1), np.sqrt(0.5), atol=1e-5)
    np.testing.assert_allclose(descriptors[:, 4:].norm(dim=1), np.sqrt(0.5), atol=1e-5)


def test_the_centre_is_the_mean_over_pictures_and_cells() -> None:
    values = np.array([[[[1, 3]], [[0, 0]]], [[[5, 7]], [[2, 6]]]]).reshape(2, 2, 1, 2)
    means = fit_aggregation(feature_maps(a=values)).means
    np.testing.assert_allclose(means["a"], [4, 2])
    assert means["a"].dtype == np.float32


def test_the_centre_of_many_pictures_is_taken_from_an_even_sample() -> None:
    values = np.arange(6.0).reshape(6, 1, 1, 1)
    np.testing.assert_allclose(fit_aggregation(feature_maps(a=values), sample=2).means["a"], [2.5])
    np.testing.assert_allclose(fit_aggregation(feature_maps(a=values), sample=1).means["a"], [0])


def test_a_descriptor_worked_out_by_hand() -> None:
    maps = feature_maps(a=np.array([4.0, 6.0]).reshape(1, 2, 1, 1), b=np.full((1, 1, 1, 1), -5.0))
    means = {"a": np.array([1, 2], np.float32), "b": np.zeros(1, np.float32)}
    aggregation = Aggregation(means, {"a": np.eye(2, dtype=np.float32), "b": np.eye(1, dtype=np.float32)})
    found = describe(maps, [0], aggregation, 1).flatten()
    np.testing.assert_allclose(found, np.array([3 / 5, 4 / 5, -1]) / np.sqrt(2), rtol=1e-6)


def test_principal_axes_of_a_stretched_cloud() -> None:
    """Values along (1, 1) with deviation 3 and along (1, -1) with deviation 1: whitening makes both equal."""
    first, second = RNG.normal(0, 3, 4000), RNG.normal(0, 1, 4000)
    cloud = np.stack([first + second, first - second], 1) / np.sqrt(2) + [10, -4]
    maps = feature_maps(a=cloud.reshape(1, 4000, 1, 2).transpose(0, 3, 1, 2))
    white = fit_aggregation(maps, components=2, whitening=1.0)
    projected = (cloud - white.means["a"]) @ white.projections["a"]
    np.testing.assert_allclose(np.cov(projected.T), np.eye(2), atol=0.02)
    plain = fit_aggregation(maps, components=1, whitening=0.0).projections["a"]
    np.testing.assert_allclose(np.abs(plain[:, 0]), np.sqrt([0.5, 0.5]), atol=0.02)


def test_a_direction_without_variance_is_left_out() -> None:
    values = np.stack([RNG.normal(0, 1, (5, 4, 4)), np.full((5, 4, 4), 7.0)], 1)
    projection = fit_aggregation(feature_maps(a=values)).projections["a"]
    assert np.isfinite(projection).all() and np.count_nonzero(np.abs(projection).max(0) > 1e-6) == 1


def test_an_aggregation_survives_its_tensors(maps: FeatureMaps) -> None:
    fitted = fit_aggregation(maps, components=3)
    again = Aggregation.from_tensors(fitted.to_tensors() | {"centroids": np.zeros(1)})
    np.testing.assert_array_equal(describe(maps, [2], again, 8), describe(maps, [2], fitted, 8))


def test_a_picture_is_described_alone_as_among_others(maps: FeatureMaps) -> None:
    aggregation = fit_aggregation(maps)
    together = describe(maps, np.arange(6), aggregation, 16)
    for row in (0, 3):
        np.testing.assert_allclose(describe(maps, [row], aggregation, 16)[0], together[row], atol=1e-6)


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
