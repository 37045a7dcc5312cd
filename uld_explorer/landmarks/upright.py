"""Layouts of landmarks set upright: what is left of them when place, size and turn in the picture are taken away.

A head that nods to its shoulder shows the same pose. Before poses are compared, every picture's landmarks are laid on
the mean layout by a similarity, and its heat map is seen through the same similarity. Knows tensors only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from uld_explorer.landmarks.losses import apply_affine

ROUNDS = 5
SMALLEST = 1e-4


def upright_transforms(points: Tensor, layout: Tensor) -> Tensor:
    """(B, 2, 3) similarities that lay points (B, M, 2) on the layout (M, 2), without mirroring.

    Centre on centre, root mean square size on size, turned by the best angle.
    """
    centre, middle = points.mean(1, keepdim=True), layout.mean(0)
    own, common = points - centre, layout - middle
    along = (own * common).sum((1, 2))
    across = (own[..., 0] * common[:, 1] - own[..., 1] * common[:, 0]).sum(1)
    size = (common.square().sum() / own.square().sum((1, 2)).clamp(min=SMALLEST)).sqrt()
    length = (along.square() + across.square()).sqrt()
    turned = length > SMALLEST * SMALLEST  # points all in one place have no turn
    cos = size * torch.where(turned, along / length, 1.0)
    sin = size * torch.where(turned, across / length, 0.0)
    linear = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    return torch.cat([linear, (middle - centre @ linear.mT)[:, 0, :, None]], 2)


def mean_layout(points: Tensor) -> Tensor:
    """(M, 2) crop units: the mean of all points (N, M, 2) set upright, in the middle and of the median size.

    Generalised Procrustes analysis (Gower 1975), begun from the plain mean.
    """
    sizes = (points - points.mean(1, keepdim=True)).square().sum((1, 2)).sqrt()
    layout = points.mean(0)
    for _ in range(ROUNDS):
        layout = apply_affine(upright_transforms(points, layout), points).mean(0)
        layout = layout - layout.mean(0)
        layout = 0.5 + layout * sizes.median() / layout.norm().clamp(min=SMALLEST)
    return layout


def upright_maps(maps: Tensor, transforms: Tensor) -> Tensor:
    """(B, h, w): maps (B, h, w) as seen in the upright frame of `transforms` (B, 2, 3); 0 from outside."""
    linear = torch.linalg.inv(transforms[..., :2])
    offset = -linear @ transforms[..., 2:]
    # affine_grid wants output -> input in -1...1, and 2 x - 1 is the same place in crop units x.
    half = torch.full_like(offset, 0.5)
    theta = torch.cat([linear, 2 * (linear @ half + offset) - 1], 2)
    grid = F.affine_grid(theta, [len(maps), 1, *maps.shape[1:]], align_corners=False)
    return F.grid_sample(maps[:, None], grid, align_corners=False)[:, 0]
