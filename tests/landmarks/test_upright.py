"""Layouts set upright: similarities are undone exactly, mirroring is not, and maps move with their points."""

from __future__ import annotations

import numpy as np
import torch

from uld_explorer.landmarks.losses import apply_affine, heat_maps
from uld_explorer.landmarks.upright import mean_layout, upright_maps, upright_transforms

LAYOUT = torch.tensor([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.45, 0.8]])


def moved(angle: float, scale: float, shift: tuple[float, float]) -> torch.Tensor:
    """(4, 2): the layout turned about its centre by degrees, scaled and shifted."""
    turn = np.radians(angle)
    linear = scale * torch.tensor([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).float()
    middle = LAYOUT.mean(0)
    return (LAYOUT - middle) @ linear.T + middle + torch.tensor(shift)


def test_a_similarity_is_undone_exactly() -> None:
    points = torch.stack([moved(0, 1, (0, 0)), moved(35, 0.6, (0.1, -0.05)), moved(-160, 1.3, (-0.2, 0.1))])
    upright = apply_affine(upright_transforms(points, LAYOUT), points)
    torch.testing.assert_close(upright, LAYOUT.expand(3, -1, -1), atol=1e-5, rtol=0)


def test_a_mirror_image_stays_one() -> None:
    mirrored = LAYOUT * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])
    transform = upright_transforms(mirrored[None], LAYOUT)
    assert torch.linalg.det(transform[0, :, :2]) > 0
    assert (apply_affine(transform, mirrored[None])[0] - LAYOUT).norm(dim=1).max() > 0.01


def test_one_point_for_all_landmarks_gives_no_infinite_scale() -> None:
    transform = upright_transforms(torch.full((2, 4, 2), 0.5), LAYOUT)
    assert torch.isfinite(transform).all() and (torch.linalg.det(transform[:, :, :2]) > 0).all()


def test_the_mean_layout_of_moved_copies_is_the_layout() -> None:
    generator = np.random.default_rng(0)
    copies = torch.stack(
        [moved(generator.uniform(-40, 40), generator.uniform(0.8, 1.2), (0.0, 0.0)) for _ in range(50)]
    )
    found = mean_layout(copies)
    torch.testing.assert_close(found.mean(0), torch.tensor([0.5, 0.5]), atol=1e-5, rtol=0)
    back = apply_affine(upright_transforms(found[None], LAYOUT), found[None])[0]
    torch.testing.assert_close(back, LAYOUT, atol=1e-3, rtol=0)


def test_a_heat_map_moves_as_its_points_do() -> None:
    points = moved(30, 0.8, (0.05, 0.02))[None]
    transform = upright_transforms(points, LAYOUT)
    heat = heat_maps(points, torch.ones(1, 4), 32, 1.5)
    upright = upright_maps(heat, transform)
    expected = heat_maps(LAYOUT[None], torch.ones(1, 4), 32, 1.5 / 0.8)
    assert (upright - expected).abs().max() < 0.15
    torch.testing.assert_close(upright_maps(heat, torch.eye(2, 3)[None]), heat, atol=1e-5, rtol=0)
