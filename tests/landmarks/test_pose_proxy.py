"""The pose VAE: closed-form divergence, shapes, and that it learns what moves."""

from __future__ import annotations

import math

import pytest
import torch

from uld_explorer.landmarks.losses import heat_maps
from uld_explorer.landmarks.pose_proxy import PoseVAE, divergence, negative_elbo


def test_divergence_of_gaussians() -> None:
    assert float(divergence(torch.zeros(1, 4), torch.zeros(1, 4))) == 0
    # KL(N(1, 1) || N(0, 1)) = 1/2; KL(N(0, e) || N(0, 1)) = (e - 2) / 2, a dimension each.
    assert float(divergence(torch.ones(1, 3), torch.zeros(1, 3))) == pytest.approx(1.5)
    assert float(divergence(torch.zeros(1, 2), torch.ones(1, 2))) == pytest.approx(math.e - 2, rel=1e-5)


def test_the_bound_is_the_entropy_of_undecided_cells_plus_the_weighted_divergence() -> None:
    logits, target = torch.zeros(2, 8, 8), torch.full((2, 8, 8), 0.5)
    mean, log_variance = torch.ones(2, 4), torch.zeros(2, 4)
    found = negative_elbo(logits, target, mean, log_variance, beta=0.5)
    assert float(found) == pytest.approx(64 * math.log(2) + 0.5 * 2, rel=1e-5)


def test_shapes_and_that_noise_is_optional() -> None:
    model, heat = PoseVAE(16, latent=6, width=4), torch.rand(3, 16, 16)
    logits, mean, log_variance = model(heat)
    assert logits.shape == (3, 16, 16) and mean.shape == log_variance.shape == (3, 6)
    assert torch.equal(model(heat)[0], logits)
    assert not torch.equal(model(heat, torch.randn(3, 6))[0], logits)


def test_the_code_learns_where_a_point_is() -> None:
    """Maps of one moving point: after a short training the code tells its place linearly."""
    rng = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    place = 0.2 + 0.6 * torch.rand(256, 1, 1, generator=rng)
    points = torch.cat([place, torch.full_like(place, 0.5)], -1)
    heat = heat_maps(points, torch.ones(256, 1), 16, 1.0)
    model = PoseVAE(16, latent=4, width=8)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    first = last = 0.0
    for step in range(150):
        rows = torch.randint(256, (32,), generator=rng)
        logits, mean, log_variance = model(heat[rows], torch.randn(32, 4, generator=rng))
        loss = negative_elbo(logits, heat[rows], mean, log_variance, beta=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        last = float(loss.detach())
        first = last if step == 0 else first
    assert last < 0.5 * first
    codes = torch.cat([model.encode(heat)[0].detach(), torch.ones(256, 1)], 1)
    truth = place[:, 0, 0]
    guess = codes @ torch.linalg.lstsq(codes[:128], truth[:128]).solution
    unexplained = (guess - truth)[128:].square().mean() / truth[128:].var()
    assert float(unexplained) < 0.2


@pytest.mark.parametrize("cells", [8, 20, 33])
def test_maps_of_any_size_come_back_in_that_size(cells: int) -> None:
    proxy = PoseVAE(cells, latent=4, width=8)
    logits, mean, _ = proxy(torch.rand(2, cells, cells))
    assert logits.shape == (2, cells, cells) and mean.shape == (2, 4)
