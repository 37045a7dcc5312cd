"""The losses of D-ULD++ (paper 3.3): D-ULD's, places of all landmarks, and the pose proxy's ELBO or Eq. 3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from uld_explorer.landmarks.losses import apply_affine, heat_maps, undo_affine
from uld_explorer.landmarks.network import LandmarkNetwork
from uld_explorer.landmarks.placement import agreement_loss, place, placement_loss
from uld_explorer.landmarks.pose_proxy import PoseVAE, negative_elbo
from uld_explorer.landmarks.pseudo_labels import PseudoLabels
from uld_explorer.landmarks.self_training import Labelled, Weights, descriptor_loss, heat_map_loss, look
from uld_explorer.landmarks.upright import upright_maps, upright_transforms
from uld_explorer.landmarks.view_maps import ViewMaps


@dataclass(frozen=True)
class PoseWeights:
    """How much the losses of D-ULD++ count beside those of D-ULD.

    labels       D-ULD's own
    placement    of places towards labels
    agreement    of places between two views
    temperature  of the places' soft-max
    proxy        of the ELBO; 0 leaves the decoder out
    beta         of the divergence in it
    poses        of the contrast of pose codes (Eq. 3); 0 leaves it out
    """

    labels: Weights
    placement: float
    agreement: float
    temperature: float
    proxy: float
    beta: float
    poses: float


@dataclass(frozen=True)
class PoseLabels:
    """What a round of D-ULD++ is trained on.

    found     PseudoLabels of the landmarks that are seen
    points    (N, K, 2) crop units, where landmarks are taught to be
    trust     (N, K) how much each of these counts; 0 where nobody knows
    pose      (N,) int64, cluster of each picture
    codebook  (K, D) unit, what stands for each landmark in any pose
    layout    (K, 2) the mean layout, upright

    In a mirrored view a landmark is called by nobody knows which name: it teaches the detector, and nothing else.
    """

    found: PseudoLabels
    points: np.ndarray
    trust: np.ndarray
    pose: np.ndarray
    codebook: np.ndarray
    layout: np.ndarray

    @property
    def mirror(self) -> np.ndarray:
        """(K,) the landmark that each one becomes in a mirrored view: -1, unknown."""
        return np.full(len(self.codebook), -1)


def proxy_losses(
    proxy: PoseVAE, heat: Tensor, target: Tensor, count: int, beta: float, rng: torch.Generator
) -> dict[str, Tensor]:
    """The proxy alone (paper 3.3.1): rebuild G from H, for `count` of N heat maps and targets (N, cells, cells)."""
    rows = torch.randint(len(heat), (count,), generator=rng).to(heat.device)
    return {"proxy": _elbo(proxy, heat[rows], target[rows], beta, rng)}


def pose_losses(
    network: LandmarkNetwork,
    proxy: PoseVAE,
    data: ViewMaps,
    labels: PoseLabels,
    weights: PoseWeights,
    rng: torch.Generator,
) -> dict[str, Tensor]:
    """All losses of one step, over two different views of each of random pictures."""
    count = weights.labels.batch
    once = torch.randint(len(data), (count,), generator=rng).numpy()
    first = torch.randint(data.count, (count,), generator=rng).numpy()
    second = (first + 1 + torch.randint(data.count - 1, (count,), generator=rng).numpy()) % data.count
    rows, view = np.tile(once, 2), np.concatenate([first, second])
    batch = look(network, data, labels.found, labels.mirror, rows, view)
    losses = {
        "heat map": heat_map_loss(batch, weights.labels.sigma),
        "descriptors": weights.labels.contrast * descriptor_loss(batch, weights.labels, rng),
    }
    placed = place(batch.volume, data.tensor(labels.codebook), weights.temperature)
    losses |= _place_losses(placed, batch, data, labels, weights, rows, view)
    # The pose of a mirrored view is another one, which nobody knows.
    plain = ~data.mirrored(rows, view)
    if plain.any() and (weights.proxy > 0 or weights.poses > 0):
        which = data.tensor(np.flatnonzero(plain))
        part = batch.only(which), data, labels, weights, rows[plain], rng
        losses |= _proxy_losses(proxy, placed[which].detach(), *part)
    return losses


def _proxy_losses(
    proxy: PoseVAE,
    placed: Tensor,
    batch: Labelled,
    data: ViewMaps,
    labels: PoseLabels,
    weights: PoseWeights,
    rows: np.ndarray,
    rng: torch.Generator,
) -> dict[str, Tensor]:
    """The ELBO and Eq. 3, both of heat maps set upright."""
    transform = upright_transforms(placed, data.tensor(labels.layout))
    heat = upright_maps(batch.logits.sigmoid(), transform)
    losses = {}
    if weights.proxy > 0:
        points = apply_affine(transform, batch.points)
        target = heat_maps(points, batch.present.float(), heat.shape[-1], weights.labels.sigma)
        losses["proxy"] = weights.proxy * _elbo(proxy, heat, target, weights.beta, rng)
    if weights.poses > 0:
        pose = data.tensor(labels.pose[rows])
        losses["poses"] = weights.poses * pose_contrast(proxy.encode(heat)[0], pose, weights.labels.margin)
    return losses


def _place_losses(
    placed: Tensor,
    batch: Labelled,
    data: ViewMaps,
    labels: PoseLabels,
    weights: PoseWeights,
    rows: np.ndarray,
    view: np.ndarray,
) -> dict[str, Tensor]:
    """Places in each view towards the labels, and of both views towards each other."""
    known = batch.identity >= 0
    transform = data.transforms(rows, view)
    target = apply_affine(transform, data.tensor(labels.points[rows]))
    trust = data.tensor(labels.trust[rows]) * known * ((target > 0) & (target < 1)).all(-1)
    home = undo_affine(transform, placed)
    half = len(rows) // 2
    both = (known[:half] & known[half:]).float()
    return {
        "places": weights.placement * placement_loss(placed, target, trust),
        "agreement": weights.agreement * agreement_loss(home[:half], home[half:], both),
    }


def _elbo(proxy: PoseVAE, heat: Tensor, target: Tensor, beta: float, rng: torch.Generator) -> Tensor:
    noise = torch.randn(len(heat), proxy.latent, generator=rng).to(heat)
    logits, mean, log_variance = proxy(heat, noise)
    return negative_elbo(logits, target, mean, log_variance, beta) / proxy.cells


def pose_contrast(code: Tensor, pose: Tensor, margin: float) -> Tensor:
    """Eq. 3: pose codes (B, L) of one pose (B,) together, of different poses apart to a margin.

    Paper is silent: codes are brought to unit length before, or the margin would depend on the latent's size.
    """
    code = F.normalize(code, dim=1)
    distance = (2 - 2 * code @ code.T).clamp(min=1e-8).sqrt()
    same = pose[:, None] == pose[None]
    pull, push = same & ~torch.eye(len(code), dtype=torch.bool, device=code.device), ~same
    together = (distance * pull).sum() / pull.sum().clamp(min=1)
    apart = (F.relu(margin - distance) * push).sum() / push.sum().clamp(min=1)
    return together + apart
