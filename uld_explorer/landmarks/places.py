"""A network's answer for pictures: where every landmark is, whether it is seen there, and the pose code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from uld_explorer.landmarks.keypoints import describe_points
from uld_explorer.landmarks.losses import sample_map, undo_affine
from uld_explorer.landmarks.network import LandmarkNetwork
from uld_explorer.landmarks.placement import place
from uld_explorer.landmarks.pose_proxy import PoseVAE
from uld_explorer.landmarks.pseudo_labels import passes
from uld_explorer.landmarks.upright import upright_maps, upright_transforms
from uld_explorer.landmarks.view_maps import ViewMaps


@dataclass(frozen=True)
class Places:
    """Where M landmarks are in N pictures, seen or not.

    points (N, M, 2) crop units, height (N, M) of the heat map there, descriptor (N, M, D) there;
    heat (N, cells, cells) the heat map inside the region
    """

    points: np.ndarray
    height: np.ndarray
    descriptor: np.ndarray
    heat: np.ndarray


@torch.no_grad()
def find_places(
    network: LandmarkNetwork, data: ViewMaps, codebook: np.ndarray, temperature: float, view: int = 0
) -> Places:
    """Places of all landmarks of the codebook (M, D), in a view of every picture, in crop units of view 0."""
    parts = []
    for rows, logits, volume in passes(network, data, view):
        there = place(volume, data.tensor(codebook), temperature)
        home = undo_affine(data.transforms(rows, view), there)
        heat = logits.sigmoid() * data.tensor(data.inside[rows])
        highest = F.max_pool2d(heat[:, None], 3, 1, 1)
        parts.append((home, sample_map(highest, there)[..., 0], describe_points(volume, there), heat))
    return Places(*(torch.cat(values).cpu().numpy() for values in zip(*parts, strict=True)))


def seen_places(places: Places, books: np.ndarray, threshold: float) -> np.ndarray:
    """(N, M) bool: where the heat map is high and the place is of its own landmark's cluster; books (N, M, D)."""
    nearest = (places.descriptor @ np.swapaxes(books, 1, 2)).argmax(2)
    return (places.height > threshold) & (nearest == np.arange(books.shape[1]))


@torch.no_grad()
def pose_codes(proxy: PoseVAE, places: Places, layout: np.ndarray) -> np.ndarray:
    """(N, L) float32: the mean codes of the heat maps set upright on the layout (M, 2)."""
    transform = upright_transforms(torch.from_numpy(places.points).float(), torch.from_numpy(layout).float())
    heat = upright_maps(torch.from_numpy(places.heat), transform).to(next(proxy.parameters()).device)
    return torch.cat([proxy.encode(part)[0] for part in heat.split(64)]).cpu().numpy()
