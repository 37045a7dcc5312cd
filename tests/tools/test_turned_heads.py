"""Points followed from one view of a rendered head to another: against the renderer's own points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tools.training_pictures import SOURCE
from tools.turned_heads import HEAD_SEED, Pool, Surface, head_pool, yaw_of
from uld_explorer.data.heads.anatomy import sample_head
from uld_explorer.data.heads.scene import render_view


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return head_pool(2, 3, tmp_path_factory.mktemp("heads"), 1)


def named_points(head: int, view: int) -> torch.Tensor:
    """(P, 2) picture coordinates of a head's points, hidden or not."""
    points = np.stack(list(sample_head(np.random.default_rng([HEAD_SEED, head])).points.values()))
    camera = render_view(HEAD_SEED, head, view, 16).camera
    xy = camera.origin + camera.scale * (points @ camera.rotation.T)[:, :2] * np.array([1, -1])
    return torch.from_numpy(2 * xy / 16 - 1).float()


@pytest.mark.parametrize("head", [0, 1])
def test_a_point_on_the_surface_is_followed_to_itself(pool: Pool, head: int) -> None:
    met = 0
    for here in range(3):
        for there in range(3):
            rows = torch.tensor([3 * head + here]), torch.tensor([3 * head + there])
            start, expected = named_points(head, here)[None], named_points(head, there)
            ends, seen = pool.surface[rows[1]].project(pool.surface[rows[0]].lift(start))
            distance = (ends[0] - expected).norm(dim=-1)[seen[0]]
            # Points behind the drawn surface lead elsewhere; most of those that are seen must be met.
            met += int((distance < 0.06).sum()) if here != there else 0
            assert here != there or float((distance < 1e-4).float().mean()) == 1
    assert met >= 12


def test_background_and_what_lies_outside_is_not_seen(pool: Pool) -> None:
    one = pool.surface[torch.tensor([0])]
    places = torch.tensor([[[-0.97, -0.97], [1.4, 0.0]]])
    assert not one.project(one.lift(places))[1].any()


def test_a_photograph_is_flat_and_looks_ahead() -> None:
    flat = Surface.flat(2)
    points = torch.tensor([[[0.2, -0.7]], [[0.0, 0.5]]])
    ends, seen = flat.project(flat.lift(points))
    assert torch.equal(ends, points) and seen.all()
    assert yaw_of(flat.rotation).tolist() == [0, 0]


def test_a_pool_keeps_views_of_one_thing_together(pool: Pool) -> None:
    first, last = pool.split(1)
    assert (len(first), len(last)) == (3, 3)
    one, two = pool.draw_pair(50, torch.Generator().manual_seed(0), 9.0)
    assert torch.equal(one // 3, two // 3) and (one != two).all()
    assert pool.images.shape == (6, 3, SOURCE, SOURCE)


def test_near_views_are_preferred(pool: Pool) -> None:
    yaw = yaw_of(pool.surface.rotation)
    gaps = {
        round(float((yaw[3 * i + a] - yaw[3 * i + b]).abs()), 3) for i in (0, 1) for a, b in ((0, 1), (0, 2), (1, 2))
    }
    widest = min(gaps) + 0.01
    one, two = pool.draw_pair(4, torch.Generator().manual_seed(1), widest)
    assert float((yaw[one] - yaw[two]).abs().max()) <= widest


def test_rendered_heads_are_kept(tmp_path: Path) -> None:
    first = head_pool(1, 2, tmp_path, 1)
    (file,) = tmp_path.iterdir()
    stamp = file.stat().st_mtime_ns
    again = head_pool(1, 2, tmp_path, 1)
    assert file.stat().st_mtime_ns == stamp and torch.equal(first.images, again.images)
