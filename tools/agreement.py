"""Two views of a thing must agree, also through a third picture: what gives features a meaning across pictures.

Descriptor vector exchange (Thewlis et al., Unsupervised learning of landmarks by descriptor vector exchange, ICCV
2019): a cell of view 1 is rebuilt from the cells of *another* picture, and the rebuilt descriptor must still find its
place in view 2. What only one picture has does not survive that; what all of its kind have does. No annotation is
used: the views are made here, by shifting, bending and, for rendered heads, turning in depth, so where each cell went
is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812

from tools.training_pictures import SIZE, draw_mirror, draw_similarity, photometric, read_at
from tools.turned_heads import Pool, Surface, yaw_of
from uld_explorer.landmarks.losses import apply_affine, cell_centers

TEMPERATURE = 0.05
QUERIES = 96
LIKELIHOOD, NEAR = 0.04, 0.06
"""Share of the negative log-likelihood in the direct error; width of the true place, in -1...1 coordinates."""
ALIKE_YAW = 0.7
"""Radians; a picture of another kind stands in only for one that looks about the same way."""


@dataclass(frozen=True)
class Bulge:
    """A smooth shift of a disc, in -1...1 picture coordinates: what lies inside moves, its outline stays.

    center (N, 2), radius (N, 1), shift (N, 2); points at distance r move by shift * (1 - (r / radius)^2)^2.
    """

    center: torch.Tensor
    radius: torch.Tensor
    shift: torch.Tensor

    def displacement(self, points: torch.Tensor) -> torch.Tensor:
        """(N, M, 2) for points (N, M, 2)."""
        square = (points - self.center[:, None]).square().sum(-1, keepdim=True) / self.radius[:, None] ** 2
        return self.shift[:, None] * (1 - square).clamp(min=0) ** 2

    def invert(self, points: torch.Tensor, iterations: int = 10) -> torch.Tensor:
        """Where each point came from, by fixed-point iteration; shifts below half a radius never fold."""
        origin = points
        for _ in range(iterations):
            origin = points - self.displacement(origin)
        return origin


@dataclass(frozen=True)
class ViewPair:
    """Two views each of N things: crops of one picture, or of two pictures from different sides.

    first, second  (N, 3, SIZE, SIZE) in -1...1
    one, two       (N, 2, 3) from -1...1 coordinates of a view (of the second, before its bulge) to its picture's
    here, there    the surfaces that the first and the second view's pictures show
    bulge          how the second view was bent afterwards
    yaw            (N, 2) radians: which way the thing looks in either view, 0 for photographs
    """

    first: torch.Tensor
    second: torch.Tensor
    one: torch.Tensor
    two: torch.Tensor
    here: Surface
    there: Surface
    bulge: Bulge
    yaw: torch.Tensor

    def follow(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Where points (N, M, 2) of the first view lie in the second, and whether they are seen there (N, M)."""
        places, seen = self.there.project(self.here.lift(apply_affine(self.one, points)))
        back = torch.linalg.inv(_square(self.two))[:, :2]
        ends = self.bulge.invert(apply_affine(back, torch.where(seen[..., None], places, 9.0)))
        return ends, seen & (ends.abs() < 1).all(-1)


def draw_pair(pool: Pool, n: int, rng: torch.Generator, sides: tuple[float, float], widest: float) -> ViewPair:
    """Similarity crops of two pictures each of n things, both mirrored or neither, the second one bent.

    sides   of the crops, as a share of the picture's
    widest  radians of yaw between the two pictures
    """
    rows = pool.draw_pair(n, rng, widest)
    mirror = draw_mirror(n, rng)
    one, two = (draw_similarity(rng, sides, mirror, turn=0.3, shift=0.2) for _ in range(2))
    bulge = _draw_bulge(n, rng)
    grids = _grid(one), _grid(two, bulge)
    views = [photometric(read_at(pool.images[r], grid), rng) for r, grid in zip(rows, grids, strict=True)]
    here, there = (pool.surface[r] for r in rows)
    yaw = torch.stack([yaw_of(here.rotation), yaw_of(there.rotation)], 1) * mirror[:, None]
    return ViewPair(views[0], views[1], one, two, here, there, bulge, yaw)


def _draw_bulge(n: int, rng: torch.Generator) -> Bulge:
    radius = 0.5 + 0.6 * torch.rand(n, 1, generator=rng)
    direction = F.normalize(torch.randn(n, 2, generator=rng) * torch.tensor([1.0, 0.5]), dim=1)
    amount = 0.45 * torch.rand(n, 1, generator=rng) * (torch.rand(n, 1, generator=rng) < 0.6)
    return Bulge((torch.rand(n, 2, generator=rng) - 0.5) * 0.9, radius, direction * radius * amount)


def _square(affine: torch.Tensor) -> torch.Tensor:
    return torch.cat([affine, torch.tensor([0.0, 0.0, 1.0]).expand(len(affine), 1, 3)], 1)


def _grid(affine: torch.Tensor, bulge: Bulge | None = None) -> torch.Tensor:
    """(N, SIZE, SIZE, 2): where in the picture every pixel of the view is read."""
    flat = torch.eye(2, 3).expand(len(affine), 2, 3)
    points = F.affine_grid(flat, [len(affine), 3, SIZE, SIZE], align_corners=False).flatten(1, 2)
    if bulge is not None:
        points = points + bulge.displacement(points)
    return apply_affine(affine, points).view(-1, SIZE, SIZE, 2)


# ---------------------------------------------------------------- the loss


def draw_queries(view: torch.Tensor, cells: int, rng: torch.Generator) -> torch.Tensor:
    """(N, QUERIES) cells to ask for, rather where the picture (N, 3, SIZE, SIZE) has detail than where it is flat."""
    grey = view.mean(1, keepdim=True)
    detail = F.avg_pool2d((grey - F.avg_pool2d(grey, 5, 1, 2)).square(), 5, 1, 2).sqrt()
    weight = F.adaptive_avg_pool2d(detail, cells).flatten(1)
    return torch.multinomial(weight / weight.sum(1, keepdim=True) + 0.5 / cells**2, QUERIES, generator=rng)


def exchange_loss(
    features: torch.Tensor, pairs: list[ViewPair], partner: torch.Tensor, queries: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """How far matches lie from the truth: directly, and through another picture.

    features  (2N, C, h, h): a block's maps of all first views, then of all second views
    pairs     N in all
    partner   (N,) the picture through whose second view each one is rebuilt
    queries   (N, Q) cells of the first views

    Both are the square root of the distance (in -1...1 coordinates) expected under a soft-max over the second view's
    cells, and to the direct one a share of the true place's negative log-likelihood is added: an expectation says
    little where the soft-max peaks at a wrong cell. Means over cells that are seen in the second view too.
    """
    n, side = len(features) // 2, features.shape[-1]
    unit = F.normalize(features.float() - features.float().mean((0, 2, 3), keepdim=True).detach(), dim=1).flatten(2)
    first, second = unit[:n], unit[n:]
    places = cell_places(side)
    asked = first.gather(2, queries[:, None].expand(-1, first.shape[1], -1)).mT
    truth, seen = _follow_all(pairs, places[queries])
    distance = (truth[:, :, None] - places).norm(dim=-1)

    def mean(error: torch.Tensor) -> torch.Tensor:
        return (error.sum(-1) * seen).sum() / seen.sum().clamp(min=1)

    other = second[partner]
    rebuilt = F.normalize((asked @ other / TEMPERATURE).softmax(-1) @ other.mT, dim=-1)
    direct, exchanged = ((descriptor @ second / TEMPERATURE).log_softmax(-1) for descriptor in (asked, rebuilt))
    near = (-((distance / NEAR) ** 2) / 2).softmax(-1)
    unlikely = -mean(near * direct)
    return mean(direct.exp() * distance.sqrt()) + LIKELIHOOD * unlikely, mean(exchanged.exp() * distance.sqrt())


def _follow_all(pairs: list[ViewPair], points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    parts = points.split([len(pair.first) for pair in pairs])
    ends, seen = zip(*(pair.follow(part) for pair, part in zip(pairs, parts, strict=True)), strict=True)
    return torch.cat(ends), torch.cat(seen)


def cell_places(side: int) -> torch.Tensor:
    """(side * side, 2): x and y of every cell's centre in -1...1, row by row."""
    return cell_centers(side) * 2 - 1


def draw_partners(pairs: list[ViewPair], across: bool, rng: torch.Generator) -> torch.Tensor:
    """(N,) another thing for each, whose second view looks about the same way as the first view of this one.

    Of the same kind, that is of the same pair of `pairs`; with `across` of another kind, if there is one that looks
    the same way. What a picture cannot show must not be looked for in it.
    """
    kind = torch.cat([torch.full((len(pair.first),), i) for i, pair in enumerate(pairs)])
    yaw = torch.cat([pair.yaw for pair in pairs])
    gap = (yaw[:, None, 0] - yaw[None, :, 1]).abs() + 0.25 * torch.rand(len(kind), len(kind), generator=rng)
    gap.fill_diagonal_(torch.inf)
    alike = kind[:, None] == kind[None]
    own = gap.masked_fill(~alike, torch.inf).argmin(1)
    if not across:
        return own
    other = gap.masked_fill(alike, torch.inf).min(1)
    return torch.where(other.values < ALIKE_YAW, other.indices, own)
