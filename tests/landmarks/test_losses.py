"""The training losses against hand-made and closed-form cases."""

from __future__ import annotations

import math

import pytest
import torch

from uld_explorer.landmarks.losses import (
    apply_affine,
    cell_centers,
    cell_of,
    contrastive_loss,
    correspondence_loss,
    heat_maps,
    sample_map,
    true_matches,
    undo_affine,
)

IDENTITY = torch.eye(2, 3)[None]


def one_hot(cells: int) -> torch.Tensor:
    return torch.eye(cells * cells).reshape(1, cells * cells, cells, cells)


def test_every_cells_centre_lies_in_it() -> None:
    assert torch.equal(cell_of(cell_centers(5), 5), torch.arange(25))
    assert cell_of(torch.tensor([[1.01, 0.5], [-0.01, 0.2], [0.99, 0.99]]), 5).tolist() == [-1, -1, 24]


def test_nothing_moved_matches_every_cell_with_itself() -> None:
    assert torch.equal(true_matches(IDENTITY, 4)[0], torch.arange(16))


def test_a_shift_by_one_cell() -> None:
    shift = torch.tensor([[[1.0, 0, 0.25], [0, 1, 0]]])
    match = true_matches(shift, 4)[0].view(4, 4)
    assert match[0].tolist() == [1, 2, 3, -1]


def test_a_mirror_image() -> None:
    mirror = torch.tensor([[[-1.0, 0, 1], [0, 1, 0]]])
    assert true_matches(mirror, 3)[0].tolist() == [2, 1, 0, 5, 4, 3, 8, 7, 6]


def test_matches_are_one_to_one_under_any_similarity() -> None:
    angle = torch.tensor(0.4)
    linear = 1.15 * torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    forward = torch.cat([linear, (torch.full((2, 1), 0.52) - linear @ torch.full((2, 1), 0.5))], 1)[None]
    match = true_matches(forward, 16)[0]
    found = match[match >= 0]
    assert len(found) > 50 and len(found.unique()) == len(found)


def test_perfect_descriptors_have_no_likelihood_loss_and_random_ones_the_logarithm() -> None:
    cells = 4
    match, logits = true_matches(IDENTITY, cells), torch.zeros(1, cells, cells)
    nll, bce = correspondence_loss(one_hot(cells), one_hot(cells), logits, logits, match)
    assert float(nll) < 1e-3
    assert float(bce) == pytest.approx(2 * math.log(2))
    flat = torch.ones(1, 3, cells, cells) / 3**0.5
    nll, _ = correspondence_loss(flat, flat, logits, logits, match)
    assert float(nll) == pytest.approx(2 * math.log(cells**2), rel=1e-5)


def test_a_detector_that_fires_where_matching_works_is_right() -> None:
    cells = 4
    sure = torch.full((1, cells, cells), 20.0)
    _, right = correspondence_loss(one_hot(cells), one_hot(cells), sure, sure, true_matches(IDENTITY, cells))
    wrong_way = one_hot(cells).flip(-1)
    _, wrong = correspondence_loss(one_hot(cells), wrong_way, sure, sure, true_matches(IDENTITY, cells))
    assert float(right) < 1e-6 and float(wrong) > 10


def test_without_a_common_cell_there_is_no_loss() -> None:
    away = torch.tensor([[[1.0, 0, 5], [0, 1, 0]]])
    logits = torch.zeros(1, 4, 4)
    nll, bce = correspondence_loss(one_hot(4), one_hot(4), logits, logits, true_matches(away, 4))
    assert float(nll) == 0 and float(bce) == 0


def test_heat_maps_are_one_at_a_point_and_fall_as_a_gaussian() -> None:
    points = cell_centers(8)[None, [27]]
    heat = heat_maps(points, torch.ones(1, 1), 8, sigma=1.5)[0]
    row, column = divmod(27, 8)
    assert float(heat[row, column]) == 1
    assert float(heat[row, column + 2]) == pytest.approx(math.exp(-4 / (2 * 1.5**2)))
    assert float(heat_maps(points, torch.zeros(1, 1), 8, 1.5).max()) == 0


def test_overlapping_bumps_do_not_add_up() -> None:
    points = cell_centers(8)[None, [27, 28]]
    assert float(heat_maps(points, torch.ones(1, 2), 8, 1.0).max()) == 1


def test_a_map_is_read_where_it_is_asked() -> None:
    x = cell_centers(8)[:, 0].view(1, 1, 8, 8)
    points = torch.tensor([[[0.3, 0.5], [0.61, 0.2]]])
    assert sample_map(x, points)[0, :, 0].tolist() == pytest.approx([0.3, 0.61], abs=1e-5)


def test_affine_maps_act_on_rows_of_points() -> None:
    moved = apply_affine(torch.tensor([[[0.0, -1, 1], [1, 0, 2]]]), torch.tensor([[[3.0, 4.0]]]))
    assert moved.tolist() == [[[-3.0, 5.0]]]


def test_contrast_is_nothing_for_tight_clusters_far_apart() -> None:
    descriptors = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    label, image = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    assert float(contrastive_loss(descriptors, label, image, margin=0.8)) < 1e-3


def test_contrast_by_hand() -> None:
    """Two pictures; label 0 lies 90 degrees apart (distance sqrt 2), labels 0 and 1 of picture 0 coincide."""
    descriptors = torch.tensor([[1.0, 0], [1, 0], [0, 1]])
    label, image = torch.tensor([0, 1, 0]), torch.tensor([0, 0, 1])
    assert float(contrastive_loss(descriptors, label, image, 0.8)) == pytest.approx(2**0.5 + 0.8, abs=1e-3)
    # Any picture's negatives: label 1 against label 0 of picture 1 is beyond the margin, so the mean halves.
    everywhere = contrastive_loss(descriptors, label, image, 0.8, same_image=False)
    assert float(everywhere) == pytest.approx(2**0.5 + 0.4, abs=1e-3)


def test_background_only_pushes() -> None:
    descriptors = torch.tensor([[1.0, 0], [1, 0], [1, 0], [1, 0]])
    label, image = torch.tensor([-1, -1, 0, 1]), torch.tensor([0, 1, 0, 1])
    assert float(contrastive_loss(descriptors, label, image, 0.8)) == pytest.approx(0.8, abs=1e-3)
    apart = torch.tensor([[1.0, 0], [0, 1]])
    assert float(contrastive_loss(apart, torch.tensor([-1, -1]), torch.tensor([0, 1]), 0.8)) == 0


def test_an_affine_map_is_undone() -> None:
    transform = torch.tensor([[[0.5, -0.8, 0.3], [0.9, 0.4, -0.1]], [[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]])
    points = torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(undo_affine(transform, apply_affine(transform, points)), points, atol=1e-5, rtol=0)
