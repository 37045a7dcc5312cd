"""The pose proxy (paper 3.3.1): a variational autoencoder that cleans a heat map and so learns the pose, Psi_V.

Knows one-channel maps, nothing of pictures or labels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class PoseVAE(nn.Module):
    """Psi_V: heat map H (B, cells, cells) -> latent code (B, latent) -> clean heat map logits (B, cells, cells).

    Paper is silent on its form: three strided convolutions and a linear layer each way. Where `cells` is not a multiple
    of 8, maps are brought to the next one inside.
    """

    def __init__(self, cells: int = 32, latent: int = 64, width: int = 32) -> None:
        super().__init__()
        self.cells, self.latent, self.width = cells, latent, width
        side = -(-cells // 8)
        self.inner = 8 * side
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.moments = nn.Linear(4 * width * side**2, 2 * latent)
        self.enter = nn.Linear(latent, 4 * width * side**2)
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (4 * width, side, side)),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, 2, 1),
        )

    def encode(self, heat: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the code, (B, latent) each."""
        mean, log_variance = self.moments(self.encoder(_resized(heat, self.inner)[:, None])).chunk(2, 1)
        return mean, log_variance.clamp(-8, 8)

    def decode(self, code: Tensor) -> Tensor:
        """Logits (B, cells, cells) of the clean heat map."""
        return _resized(self.decoder(self.enter(code))[:, 0], self.cells)

    def forward(self, heat: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, mean and log-variance; noise (B, latent) standard normal, none to decode the mean."""
        mean, log_variance = self.encode(heat)
        code = mean if noise is None else mean + noise * torch.exp(0.5 * log_variance)
        return self.decode(code), mean, log_variance


def _resized(maps: Tensor, cells: int) -> Tensor:
    """(B, cells, cells), bilinear; as they are where that is their size."""
    if maps.shape[-1] == cells:
        return maps
    return F.interpolate(maps[:, None], size=(cells, cells), mode="bilinear", align_corners=False)[:, 0]


def negative_elbo(logits: Tensor, target: Tensor, mean: Tensor, log_variance: Tensor, beta: float) -> Tensor:
    """The negative evidence lower bound per picture, averaged over the batch.

    logits, target        (B, cells, cells), target G in 0...1: Gaussian bumps at the landmarks
    mean, log_variance    (B, latent)

    Reconstruction is a cross-entropy summed over cells. Paper is silent on beta, the weight of the divergence from
    the standard normal.
    """
    rebuilt = F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).sum(1)
    return (rebuilt + beta * divergence(mean, log_variance)).mean()


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(B,) Kullback-Leibler divergence of N(mean, variance) from N(0, 1), summed over the latent dimensions."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
