"""Places: a sharp descriptor map is read exactly, and the losses have their closed forms."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from uld_explorer.landmarks.placement import NEAR, agreement_loss, place, placement_loss

CODEBOOK = torch.eye(3)[:2]


def volume_with(cells: list[tuple[int, int]]) -> torch.Tensor:
    """(1, 3, 8, 8): descriptor 2 everywhere but for landmark k's own in the cell (row, column) of k."""
    volume = torch.zeros(1, 3, 8, 8)
    volume[:, 2] = 1
    for k, (row, column) in enumerate(cells):
        volume[0, :, row, column] = torch.eye(3)[k]
    return volume


def test_a_landmark_is_placed_where_its_descriptor_is() -> None:
    found = place(volume_with([(1, 2), (6, 5)]), CODEBOOK, 0.05)
    expected = torch.tensor([[[2.5 / 8, 1.5 / 8], [5.5 / 8, 6.5 / 8]]])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_what_is_nowhere_is_placed_in_the_middle() -> None:
    torch.testing.assert_close(place(volume_with([]), CODEBOOK, 0.05), torch.full((1, 2, 2), 0.5))


def test_a_place_teaches_its_descriptor() -> None:
    raw = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.tensor([[[0.2, 0.7], [0.8, 0.1]]])
    first = None
    for _ in range(60):
        loss = placement_loss(place(F.normalize(raw, dim=1), CODEBOOK, 0.1), target, torch.ones(1, 2))
        first = first or loss.item()
        (gradient,) = torch.autograd.grad(loss, raw)
        with torch.no_grad():
            raw -= 20 * gradient
    assert loss.item() < first / 10


@pytest.mark.parametrize(("distance", "error"), [(0.0, 0.0), (NEAR / 2, NEAR / 8), (NEAR, NEAR / 2), (0.5, 0.45)])
def test_the_error_is_square_near_and_straight_far(distance: float, error: float) -> None:
    placed = torch.tensor([[[0.2 + distance, 0.3], [0.9, 0.9]]])
    target = torch.tensor([[[0.2, 0.3], [0.0, 0.0]]])
    loss = placement_loss(placed, target, torch.tensor([[1.0, 0.0]]))
    assert loss.item() == pytest.approx(error, abs=1e-3)


def test_agreement_counts_only_what_is_known_in_both() -> None:
    first = torch.tensor([[[0.0, 0.0], [0.3, 0.4]], [[0.0, 0.0], [1.0, 1.0]]])
    second = torch.zeros(2, 2, 2)
    known = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    assert agreement_loss(first, second, known).item() == pytest.approx(0.5 / 3, abs=1e-3)
    assert agreement_loss(first, second, torch.zeros(2, 2)).item() == 0
