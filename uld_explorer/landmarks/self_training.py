"""The losses of self-training: bootstrapping, then pseudo-labels (paper 3.2).

Each has a function that makes the losses of one step from a seeded generator. Their order is the methods' own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uld_explorer.data.augmentation import compose, invert
from uld_explorer.landmarks.keypoints import describe_points
from uld_explorer.landmarks.losses import (
    APART,
    apply_affine,
    contrastive_loss,
    correspondence_loss,
    heat_maps,
    true_matches,
)
from uld_explorer.landmarks.network import LandmarkNetwork
from uld_explorer.landmarks.pseudo_labels import PseudoLabels
from uld_explorer.landmarks.view_maps import ViewMaps, run_network

BACKGROUND = 10
"""Background descriptors of each picture that keypoints are pushed away from."""


@dataclass(frozen=True)
class Weights:
    """How much each loss counts, and their shapes.

    batch     pictures a step
    sigma     of a label's bump, in cells
    margin    of Eq. 4
    contrast  of descriptors (Eq. 4), beside the heat map's mean squared error
    same_image  negatives of Eq. 4 come from one picture only
    """

    batch: int
    sigma: float
    margin: float
    contrast: float
    same_image: bool = True


def bootstrap_losses(network: LandmarkNetwork, data: ViewMaps, batch: int, rng: torch.Generator) -> dict[str, Tensor]:
    """SiLK's losses of two different views of each picture."""
    rows = torch.randint(len(data), (batch,), generator=rng).numpy()
    first = torch.randint(data.count, (batch,), generator=rng).numpy()
    second = (first + 1 + torch.randint(data.count - 1, (batch,), generator=rng).numpy()) % data.count
    here, there = (run_network(network, data, rows, view) for view in (first, second))
    motion = compose(data.views.transforms[rows, second], invert(data.views.transforms[rows, first]))
    match = true_matches(data.tensor(motion), network.shape.cells)
    likelihood, detection = correspondence_loss(here[1], there[1], here[0], there[0], match)
    return {"correspondence": likelihood, "detection": detection}


@dataclass(frozen=True)
class Labelled:
    """A batch with its labels.

    logits and volume of a view each, points (B, K, 2), present (B, K), identity (B, K), -1 where unknown.
    """

    logits: Tensor
    volume: Tensor
    points: Tensor
    present: Tensor
    identity: Tensor

    def only(self, which: Tensor) -> Labelled:
        """The part of the batch in the rows `which`."""
        parts = (self.logits, self.volume, self.points, self.present, self.identity)
        return Labelled(*(part[which] for part in parts))


def label_losses(
    network: LandmarkNetwork,
    data: ViewMaps,
    labels: PseudoLabels,
    mirror: np.ndarray,
    weights: Weights,
    rng: torch.Generator,
) -> dict[str, Tensor]:
    """Heat map and descriptors towards the pseudo-labels, in a random view of random pictures.

    mirror (K,) says which landmark each one is in a mirrored view; where it is -1, the view still teaches where a
    landmark is, but not which.
    """
    rows = torch.randint(len(data), (weights.batch,), generator=rng).numpy()
    view = torch.randint(data.count, (weights.batch,), generator=rng).numpy()
    batch = look(network, data, labels, mirror, rows, view)
    return {
        "heat map": heat_map_loss(batch, weights.sigma),
        "descriptors": weights.contrast * descriptor_loss(batch, weights, rng),
    }


def look(
    network: LandmarkNetwork,
    data: ViewMaps,
    labels: PseudoLabels,
    mirror: np.ndarray,
    rows: np.ndarray,
    view: np.ndarray,
) -> Labelled:
    """What the network makes of a view (B,) each of the pictures `rows` (B,), with their labels moved there."""
    logits, volume = run_network(network, data, rows, view)
    origin = data.tensor(np.nan_to_num(labels.points[rows], nan=-9.0))
    points = apply_affine(data.transforms(rows, view), origin)
    present = data.tensor(labels.present[rows]) & ((points > 0) & (points < 1)).all(-1)
    identity = np.where(data.mirrored(rows, view)[:, None], mirror, np.arange(len(mirror)))
    return Labelled(logits, volume, points, present, data.tensor(identity))


def heat_map_loss(batch: Labelled, sigma: float) -> Tensor:
    """Squared error of the heat map, summed over cells, per landmark."""
    target = heat_maps(batch.points, batch.present.float(), batch.logits.shape[-1], sigma)
    error = (batch.logits.sigmoid() - target).square()
    return error.sum((1, 2)).mean() / batch.present.shape[1]


def descriptor_loss(batch: Labelled, weights: Weights, rng: torch.Generator) -> Tensor:
    """Eq. 4 over the labels, and background points of the same pictures as a label of none."""
    count, landmarks = batch.present.shape
    device = batch.points.device
    away = torch.rand(count, BACKGROUND, 2, generator=rng).to(device)
    nearest = torch.cdist(away, torch.where(batch.present[..., None], batch.points, 9.0)).amin(-1)
    far = nearest > APART
    image = torch.arange(count, device=device)[:, None]
    named = batch.present & (batch.identity >= 0)
    descriptors = torch.cat(
        [
            describe_points(batch.volume, batch.points.clamp(0, 1))[named],
            describe_points(batch.volume, away)[far],
        ]
    )
    label = torch.cat([batch.identity[named], torch.full_like(image.expand_as(far)[far], -1)])
    origin = torch.cat([image.expand(count, landmarks)[named], image.expand(count, BACKGROUND)[far]])
    return contrastive_loss(descriptors, label, origin, weights.margin, weights.same_image)
