"""Views whose points are known, and the loss that makes them agree: hand-made cases."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tools.agreement import (
    LIKELIHOOD,
    QUERIES,
    Bulge,
    ViewPair,
    cell_places,
    draw_pair,
    draw_partners,
    draw_queries,
    exchange_loss,
)
from tools.training_pictures import SIZE
from tools.turned_heads import Pool, Surface

SIDE = 8


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def still(n: int) -> list[ViewPair]:
    """Both views are the same crop."""
    none = Bulge(torch.zeros(n, 2), torch.ones(n, 1), torch.zeros(n, 2))
    picture, same, flat = torch.zeros(n, 3, SIZE, SIZE), torch.eye(2, 3).expand(n, 2, 3), Surface.flat(n)
    return [ViewPair(picture, picture, same, same, flat, flat, none, torch.zeros(n, 2))]


def looking(*yaws: tuple[float, float]) -> ViewPair:
    """Pairs of views of things that look these ways, radians."""
    return replace(still(len(yaws))[0], yaw=torch.tensor(yaws))


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
        pair = draw_pair(Pool(picture, Surface.flat(1), 1), 1, rng(seed), (0.6, 1.0), 1.0)
        spots = []
        for view in (pair.first, pair.second):
            light = (view.mean(1).flatten() - view.min()).clamp(min=0) ** 4
            if float(light.max()) <= 0:
                break
            spots.append((light[:, None] * cell_places(SIZE)).sum(0) / light.sum())
        if len(spots) < 2 or max(float(s.abs().max()) for s in spots) > 0.7:
            continue
        found += 1
        place, seen = pair.follow(spots[0][None, None])
        assert bool(seen) and torch.allclose(place[0, 0], spots[1], atol=0.06), seed
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
    assert 0.2 < float(direct) < 1.0 and 0.2 < float(exchanged) < 0.8


def test_descriptors_that_are_all_alike_are_off_by_the_mean_distance() -> None:
    # Centring makes constant maps zero, so every cell is as likely as any other.
    features = torch.ones(4, 5, SIDE, SIDE)
    direct, exchanged = exchange_loss(features, still(2), torch.tensor([1, 0]), all_cells(2))
    places = cell_places(SIDE)
    expected = torch.cdist(places, places).sqrt().mean()
    unlikely = LIKELIHOOD * math.log(SIDE * SIDE)
    assert float(direct) == pytest.approx(float(expected) + unlikely, abs=1e-4)
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


def test_partners_are_other_things_of_the_same_kind_that_look_the_same_way() -> None:
    heads = looking((-1.2, 0.1), (0.2, -1.1), (1.2, 1.1), (0.0, 0.9))
    faces = looking((0.0, 0.0), (0.0, 0.0))
    partner = draw_partners([heads, faces], False, rng())
    assert partner.tolist() == [1, 0, 3, 0, 5, 4]


def test_partners_across_kinds_only_where_they_look_the_same_way() -> None:
    heads = looking((-1.5, 1.4), (0.1, -1.4), (1.5, 0.0))
    faces = looking((0.0, 0.0), (0.0, 0.0))
    partner = draw_partners([heads, faces], True, rng()).tolist()
    assert partner[0] == 1 and partner[2] == 0, "no photograph looks aside as far as these"
    assert partner[1] in (3, 4) and partner[3:] == [2, 2]


def test_what_is_hidden_in_the_second_view_does_not_count() -> None:
    turned = torch.diag(torch.tensor([-1.0, 1.0, -1.0])).expand(1, 3, 3)
    behind = replace(still(1)[0], there=replace(Surface.flat(1), rotation=turned, depth=torch.full((1, 1, 1), 0.5)))
    features = torch.randn(2, 4, SIDE, SIDE, generator=rng(1))
    assert not behind.follow(cell_places(SIDE)[None])[1].any()
    assert [float(v) for v in exchange_loss(features, [behind], torch.tensor([0]), all_cells(1))] == [0, 0]
