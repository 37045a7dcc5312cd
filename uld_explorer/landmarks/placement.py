"""Where every landmark of a codebook is, seen or hidden: descriptors against centroids, read as a probability map.

A heat map's peaks are the landmarks that can be seen. This is the second answer, which always has all of them:
the expected place under a soft-max over the cells. It has a gradient, so that labels teach the descriptors where
landmarks are, and known motions between views teach them where the hidden ones must be. Knows tensors only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from uld_explorer.landmarks.losses import cell_centers

NEAR = 0.1
"""Errors up to this distance, in crop units, count by their square, larger ones only by their size (Huber)."""


def place(volume: Tensor, codebook: Tensor, temperature: float) -> Tensor:
    """(B, K, 2) crop units: the expected place of each landmark.

    volume (B, D, h, w) and codebook (K, D) of unit length; temperature divides their cosine similarity.
    """
    similarity = torch.einsum("bdhw,kd->bkhw", volume, codebook) / temperature
    return similarity.flatten(2).softmax(-1) @ cell_centers(volume.shape[-1]).to(volume)


def placement_loss(placed: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean Huber distance of places (B, K, 2) from their targets; weight (B, K), 0 where there is none."""
    distance = (placed - target).square().sum(-1).clamp(min=1e-8).sqrt()
    error = torch.where(distance < NEAR, distance.square() / (2 * NEAR), distance - NEAR / 2)
    return (error * weight).sum() / weight.sum().clamp(min=1)


def agreement_loss(first: Tensor, second: Tensor, known: Tensor) -> Tensor:
    """Mean distance of places (B, K, 2) of two views, both in the frame of the picture, where known (B, K)."""
    distance = (first - second).square().sum(-1).clamp(min=1e-8).sqrt()
    return (distance * known).sum() / known.sum().clamp(min=1)
