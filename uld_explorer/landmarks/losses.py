"""What the network is trained by: correspondence (SiLK), heat maps, contrast of descriptors. Pure functions of tensors.

Cells are numbered row by row; positions are in crop units, (0, 0)...(1, 1) over a square map.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

APART = 5.7 / 64
"""Background descriptors count as negatives of a keypoint from this distance on, in crop units (thesis, chapter 6)."""


def cell_centers(cells: int) -> Tensor:
    """(cells * cells, 2): x and y of every cell's centre."""
    place = (torch.arange(cells) + 0.5) / cells
    y, x = torch.meshgrid(place, place, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def apply_affine(transform: Tensor, points: Tensor) -> Tensor:
    """(B, 2, 3) on (B, M, 2)."""
    return points @ transform[..., :2].transpose(-1, -2) + transform[..., 2][..., None, :]


def undo_affine(transform: Tensor, points: Tensor) -> Tensor:
    """(B, M, 2): the inverse of `apply_affine`."""
    return (points - transform[..., 2][..., None, :]) @ torch.linalg.inv(transform[..., :2]).mT


def cell_of(points: Tensor, cells: int) -> Tensor:
    """(...,) the cell that holds each point (..., 2); -1 outside."""
    index = torch.floor(points * cells).long()
    inside = ((index >= 0) & (index < cells)).all(-1)
    return torch.where(inside, index[..., 1] * cells + index[..., 0], -1)


def true_matches(forward: Tensor, cells: int) -> Tensor:
    """(B, M) for each cell of a first view the cell of a second one that shows the same spot; -1 where there is none.

    forward (B, 2, 3) maps crop units of the first view to those of the second. Only mutual pairs count: mapped back,
    the second cell must fall into the first one again.
    """
    centers = cell_centers(cells).to(forward)
    there = cell_of(apply_affine(forward, centers[None]), cells)
    linear = torch.linalg.inv(forward[..., :2])
    back = torch.cat([linear, -linear @ forward[..., 2:]], -1)
    home = cell_of(apply_affine(back, centers[there.clamp(min=0)]), cells)
    own = torch.arange(cells * cells, device=forward.device)
    return torch.where((there >= 0) & (home == own), there, -1)


def correspondence_loss(
    first: Tensor, second: Tensor, detect_first: Tensor, detect_second: Tensor, match: Tensor, temperature: float = 0.05
) -> tuple[Tensor, Tensor]:
    """SiLK's two losses (Gleize et al. 2023): negative log-likelihood of the true matches, and BCE of the detectors.

    first, second   (B, D, h, w) unit descriptors of two views
    detect_*        (B, h, w) detector logits
    match           (B, h * w) from `true_matches`

    A detector should fire where the best match, in both directions, is the true one. Only cells with a true match
    count. Picture by picture, since the similarity of all cells with all cells is large.
    """
    likelihood, detection = first.new_zeros(()), first.new_zeros(())
    pictures = 0
    for a, b, da, db, m in zip(first, second, detect_first, detect_second, match, strict=True):
        rows = torch.nonzero(m >= 0)[:, 0]
        if not len(rows):
            continue
        similarity = a.flatten(1).T @ b.flatten(1) / temperature
        columns = m[rows]
        likelihood = likelihood + F.cross_entropy(similarity[rows], columns)
        likelihood = likelihood + F.cross_entropy(similarity.T[columns], rows)
        right = (similarity[rows].argmax(1) == columns) & (similarity.T[columns].argmax(1) == rows)
        target = right.to(da)
        detection = detection + F.binary_cross_entropy_with_logits(da.flatten()[rows], target)
        detection = detection + F.binary_cross_entropy_with_logits(db.flatten()[columns], target)
        pictures += 1
    count = max(pictures, 1)
    return likelihood / count, detection / count


def heat_maps(points: Tensor, present: Tensor, cells: int, sigma: float) -> Tensor:
    """(B, cells, cells) in 0...1: a Gaussian bump at every point (B, M, 2) in crop units, the highest one counts.

    sigma in cells.
    """
    centers = cell_centers(cells).to(points)
    distance = (points[:, :, None] - centers[None, None]).square().sum(-1) * cells**2
    bumps = torch.exp(-distance / (2 * sigma**2)) * present[..., None]
    return bumps.amax(1).view(len(points), cells, cells)


def sample_map(volume: Tensor, points: Tensor) -> Tensor:
    """(B, M, D): a map (B, D, h, w) read between its cells at points (B, M, 2) in crop units."""
    return F.grid_sample(volume, points[:, None] * 2 - 1, align_corners=False, padding_mode="border")[:, :, 0].mT


def contrastive_loss(
    descriptors: Tensor, label: Tensor, image: Tensor, margin: float = 0.8, same_image: bool = True
) -> Tensor:
    """Eq. 4: pulls descriptors of one label together, pushes those of different labels apart to a margin.

    descriptors (M, D) unit, label (M,), image (M,) the picture each comes from. Both sums are means over their pairs.

    same_image: negatives come from the same picture only, as in the self-training framework. Differs from paper:
    Eq. 4 takes them from any picture, and with labels per pose one physical point would then repel itself; pass
    False for that.
    """
    distance = (2 - 2 * descriptors @ descriptors.T).clamp(min=1e-8).sqrt()
    same = label[:, None] == label[None]
    pull = same & (image[:, None] != image[None]) & (label >= 0)[:, None]
    push = ~same & (image[:, None] == image[None]) if same_image else ~same
    attraction = (distance * pull).sum() / pull.sum().clamp(min=1)
    repulsion = (F.relu(margin - distance) * push).sum() / push.sum().clamp(min=1)
    return attraction + repulsion
