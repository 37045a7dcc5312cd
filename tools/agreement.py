"""Two views of a picture must agree, also through a third picture: what gives features a meaning across pictures.

Descriptor vector exchange (Thewlis et al., Unsupervised learning of landmarks by descriptor vector exchange, ICCV
2019): a cell of view 1 is rebuilt from the cells of *another* picture, and the rebuilt descriptor must still find its
place in view 2. What only one picture has does not survive that; what all of its kind have does. No annotation is
used: the views are made here, so where each cell went is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812

from tools.training_pictures import SIZE, draw_mirror, draw_similarity, photometric, read_at

TEMPERATURE = 0.05
QUERIES = 96


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
    """Two views of N pictures.

    first, second  (N, 3, SIZE, SIZE) in -1...1
    forward        (N, 2, 3) from -1...1 coordinates of the first to those of the second before its bulge
    bulge          how the second was bent afterwards
    """

    first: torch.Tensor
    second: torch.Tensor
    forward: torch.Tensor
    bulge: Bulge

    def follow(self, points: torch.Tensor) -> torch.Tensor:
        """Where points (N, M, 2) of the first view lie in the second."""
        return self.bulge.invert(points @ self.forward[:, :, :2].mT + self.forward[:, None, :, 2])


def draw_pair(images: torch.Tensor, rng: torch.Generator, low: float, high: float) -> ViewPair:
    """Two similarity crops of each picture (N, 3, S, S) uint8, both mirrored or neither, the second one bent."""
    mirror = draw_mirror(len(images), rng)
    one, two = (draw_similarity(rng, (low, high), mirror, turn=0.3, shift=0.2) for _ in range(2))
    bulge = _draw_bulge(len(images), rng)
    forward = torch.linalg.inv(_square(two)) @ _square(one)
    views = [photometric(read_at(images, grid), rng) for grid in (_grid(one), _grid(two, bulge))]
    return ViewPair(views[0], views[1], forward[:, :2], bulge)


def join(pairs: list[ViewPair]) -> ViewPair:
    """One pair of all pictures, in order."""

    def together(name: str) -> torch.Tensor:
        return torch.cat([getattr(pair, name) for pair in pairs])

    bulge = Bulge(*(torch.cat([getattr(pair.bulge, f) for pair in pairs]) for f in ("center", "radius", "shift")))
    return ViewPair(together("first"), together("second"), together("forward"), bulge)


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
    return (points @ affine[:, :, :2].mT + affine[:, None, :, 2]).view(-1, SIZE, SIZE, 2)


# ---------------------------------------------------------------- the loss


def draw_queries(view: torch.Tensor, cells: int, rng: torch.Generator) -> torch.Tensor:
    """(N, QUERIES) cells to ask for, rather where the picture (N, 3, SIZE, SIZE) has detail than where it is flat."""
    grey = view.mean(1, keepdim=True)
    detail = F.avg_pool2d((grey - F.avg_pool2d(grey, 5, 1, 2)).square(), 5, 1, 2).sqrt()
    weight = F.adaptive_avg_pool2d(detail, cells).flatten(1)
    return torch.multinomial(weight / weight.sum(1, keepdim=True) + 0.5 / cells**2, QUERIES, generator=rng)


def exchange_loss(
    features: torch.Tensor, pair: ViewPair, partner: torch.Tensor, queries: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """How far matches lie from the truth: directly, and through another picture.

    features  (2N, C, h, h): a block's maps of all first views, then of all second views
    partner   (N,) the picture through whose second view each one is rebuilt
    queries   (N, Q) cells of the first views

    Both are means of the square root of the distance (in -1...1 coordinates), over cells that stay inside the second
    view, expected under a soft-max over its cells.
    """
    n, side = len(features) // 2, features.shape[-1]
    unit = F.normalize(features.float() - features.float().mean((0, 2, 3), keepdim=True).detach(), dim=1).flatten(2)
    first, second = unit[:n], unit[n:]
    places = cell_places(side)
    asked = first.gather(2, queries[:, None].expand(-1, first.shape[1], -1)).mT
    truth = pair.follow(places[queries])
    inside = (truth.abs() < 1).all(-1).float()
    distance = (truth[:, :, None] - places).norm(dim=-1).sqrt()

    def error(descriptor: torch.Tensor) -> torch.Tensor:
        likely = (descriptor @ second / TEMPERATURE).softmax(-1)
        return ((likely * distance).sum(-1) * inside).sum() / inside.sum().clamp(min=1)

    other = second[partner]
    rebuilt = F.normalize((asked @ other / TEMPERATURE).softmax(-1) @ other.mT, dim=-1)
    return error(asked), error(rebuilt)


def cell_places(side: int) -> torch.Tensor:
    """(side * side, 2): x and y of every cell's centre in -1...1, row by row."""
    line = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def draw_partners(kinds: list[int], step: int) -> torch.Tensor:
    """(sum of kinds,) another picture for each: of its own kind, and at every third step of the next kind.

    kinds: how many pictures of each kind there are, one kind after the other, equally many.
    """
    total, own = sum(kinds), kinds[0]
    if step % 3 == 2:
        return torch.arange(total).roll(-own)
    return torch.cat([torch.arange(own).roll(1) + start for start in range(0, total, own)])
