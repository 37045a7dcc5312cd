"""Views whose points are known, and the loss that makes them agree: hand-made cases."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tools.agreement import (
    QUERIES,
    Bulge,
    ViewPair,
    cell_places,
    draw_pair,
    draw_partners,
    draw_queries,
    exchange_loss,
    join,
)
from tools.training_pictures import SIZE

SIDE = 8


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def still(n: int) -> ViewPair:
    """Both views are the same crop."""
    none = Bulge(torch.zeros(n, 2), torch.ones(n, 1), torch.zeros(n, 2))
    picture = torch.zeros(n, 3, SIZE, SIZE)
    return ViewPair(picture, picture, torch.eye(2, 3).expand(n, 2, 3), none)


def one_hot(order: torch.Tensor) -> torch.Tensor:
    """(1, C, SIDE, SIDE): every cell has a descriptor of its own, laid out in the given order."""
    return torch.eye(SIDE * SIDE)[order].T.reshape(1, -1, SIDE, SIDE)


def all_cells(n: int) -> torch.Tensor:
    return torch.arange(SIDE * SIDE).expand(n, -1)


def test_a_bulge_can_be_undone() -> None:
    bulge = Bulge(torch.tensor([[0.1, -0.2]]), torch.tensor([[0.8]]), torch.tensor([[0.3, 0.1]]))
    points = cell_places(9)[None]
    assert torch.allclose(bulge.invert(points + bulge.displacement(points), 60), points, atol=1e-4)


def test_a_bulge_moves_its_centre_by_its_shift_and_nothing_outside_its_disc() -> None:
    bulge = Bulge(torch.zeros(1, 2), torch.full((1, 1), 0.5), torch.tensor([[0.2, 0.0]]))
    moved = bulge.displacement(torch.tensor([[[0.0, 0.0], [0.5, 0.0], [0.9, 0.9]]]))
    assert torch.allclose(moved, torch.tensor([[[0.2, 0.0], [0.0, 0.0], [0.0, 0.0]]]))


def test_a_dot_lies_where_the_pair_says() -> None:
    """A bright dot in the picture is found in the second view where `follow` sends its place in the first."""
    found = 0
    for seed in range(12):
        picture = torch.zeros(1, 3, 144, 144, dtype=torch.uint8)
        picture[..., 66:78, 66:78] = 255
        pair = draw_pair(picture, rng(seed), 0.6, 1.0)
        spots = []
        for view in (pair.first, pair.second):
            light = (view.mean(1).flatten() - view.min()).clamp(min=0) ** 4
            if float(light.max()) <= 0:
                break
            spots.append((light[:, None] * cell_places(SIZE)).sum(0) / light.sum())
        if len(spots) < 2 or max(float(s.abs().max()) for s in spots) > 0.7:
            continue
        found += 1
        assert torch.allclose(pair.follow(spots[0][None, None])[0, 0], spots[1], atol=0.06), seed
    assert found >= 4


def test_descriptors_that_know_their_place_have_no_error_also_through_another_picture() -> None:
    own = one_hot(torch.arange(SIDE * SIDE))
    shuffled = one_hot(torch.randperm(SIDE * SIDE, generator=rng(1)))
    features = torch.cat([own, own, own, shuffled])
    direct, exchanged = exchange_loss(features, still(2), torch.tensor([1, 0]), all_cells(2)[:1].expand(2, -1))
    rest = torch.cat([own, own, own, own])
    same, through = exchange_loss(rest, still(2), torch.tensor([1, 0]), all_cells(2))
    assert float(same) < 1e-3 and float(through) < 1e-3
    # The second picture's own views differ, so it cannot be matched directly, but the first one still can.
    assert 0.2 < float(direct) < 0.8 and 0.2 < float(exchanged) < 0.8


def test_descriptors_that_are_all_alike_are_off_by_the_mean_distance() -> None:
    # Centring makes constant maps zero, so every cell is as likely as any other.
    features = torch.ones(4, 5, SIDE, SIDE)
    direct, exchanged = exchange_loss(features, still(2), torch.tensor([1, 0]), all_cells(2))
    places = cell_places(SIDE)
    expected = torch.cdist(places, places).sqrt().mean()
    assert float(direct) == pytest.approx(float(expected), abs=1e-4)
    assert float(exchanged) == pytest.approx(float(expected), abs=1e-4)


def test_the_loss_pulls_features_into_agreement() -> None:
    features = torch.randn(4, 16, SIDE, SIDE, generator=rng(2)).requires_grad_()
    optimiser = torch.optim.Adam([features], 0.1)
    history = []
    for _ in range(30):
        loss = sum(exchange_loss(features, still(2), torch.tensor([1, 0]), all_cells(2)), torch.zeros(()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(float(loss.detach()))
    assert history[-1] < 0.6 * history[0]


def test_queries_prefer_detail() -> None:
    view = torch.zeros(1, 3, SIZE, SIZE)
    view[..., :, : SIZE // 2] = torch.randn(1, 1, SIZE, SIZE // 2, generator=rng(3))
    queries = draw_queries(view, 16, rng(4))
    assert queries.shape == (1, QUERIES)
    assert float((queries % 16 < 8).float().mean()) > 0.6


@pytest.mark.parametrize("step", [0, 1, 2])
def test_partners_are_other_pictures(step: int) -> None:
    partner = draw_partners([3, 3], step)
    assert sorted(partner.tolist()) == list(range(6))
    assert (partner != torch.arange(6)).all()
    same_kind = partner // 3 == torch.arange(6) // 3
    assert bool(same_kind.all()) == (step != 2) and bool(same_kind.any()) == (step != 2)


def test_joined_pairs_follow_as_each_did() -> None:
    pictures = torch.randint(0, 255, (2, 3, 80, 80), dtype=torch.uint8, generator=rng(5))
    pairs = [draw_pair(pictures, rng(6), 0.5, 1.0), draw_pair(pictures, rng(7), 0.5, 1.0)]
    points = F.normalize(torch.randn(4, 3, 2, generator=rng(8)), dim=-1) * 0.4
    together = join(pairs).follow(points)
    apart = torch.cat([pairs[0].follow(points[:2]), pairs[1].follow(points[2:])])
    assert torch.allclose(together, apart)
