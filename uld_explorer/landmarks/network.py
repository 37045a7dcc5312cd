"""What is trained: aggregation network Psi_b, detector head Psi_d, descriptor head Psi_f (paper 3.1 and 3.2).

Knows feature maps and tensors, nothing of pictures, files or how it is trained. The diffusion U-Net stays frozen and
outside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


@dataclass(frozen=True)
class NetworkShape:
    """What a network is built from, enough to build it again.

    layers      layer name ("up0@t20") -> channels C of its maps
    cells       side of the maps that come out
    bottleneck  channels inside a bottleneck
    width       channels of the aggregated map F_ag
    descriptor  D, length of a descriptor
    """

    layers: dict[str, int]
    cells: int = 32
    bottleneck: int = 96
    width: int = 96
    descriptor: int = 64


def norm(channels: int, groups: int = 32) -> nn.GroupNorm:
    """Group normalisation with at most `groups` groups, as many as divide the channels."""
    return nn.GroupNorm(math.gcd(channels, groups), channels)


class Bottleneck(nn.Module):
    """B_l of Eq. 2: (B, C, h, w) -> (B, width, h, w), a residual bottleneck (He et al. 2016), group-normalised."""

    def __init__(self, channels: int, bottleneck: int, width: int) -> None:
        super().__init__()
        self.enter = norm(channels)
        self.body = nn.Sequential(
            nn.Conv2d(channels, bottleneck, 1, bias=False),
            norm(bottleneck),
            nn.ReLU(),
            nn.Conv2d(bottleneck, bottleneck, 3, padding=1, bias=False),
            norm(bottleneck),
            nn.ReLU(),
            nn.Conv2d(bottleneck, width, 1, bias=False),
            norm(width),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), norm(width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        return F.relu(self.body(x) + self.shortcut(x))


class AggregationNetwork(nn.Module):
    """Psi_b without the U-Net: F_ag = sum over layers and timesteps of w * B_l(r), with soft-max weights w (Eq. 2).

    A layer's bottleneck is shared over timesteps. Paper is silent: the weights start equal.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.names = tuple(shape.layers)
        self.cells = shape.cells
        self.bottlenecks = nn.ModuleDict(
            {block_of(name): Bottleneck(c, shape.bottleneck, shape.width) for name, c in shape.layers.items()}
        )
        self.logits = nn.Parameter(torch.zeros(len(self.names)))

    def mixing_weights(self) -> dict[str, float]:
        """layer name -> its share w, in 0...1, together 1."""
        return dict(zip(self.names, self.logits.detach().softmax(0).tolist(), strict=True))

    def forward(self, layers: Mapping[str, Tensor]) -> Tensor:
        """Maps (B, C_l, h_l, w_l) by name -> F_ag (B, width, cells, cells).

        Differs from paper: the bottleneck works at a layer's own resolution, before upscaling; 3 x 3 convolutions of
        upscaled maps would only smooth them, at many times the cost.
        """
        weights = self.logits.softmax(0)
        total: Tensor | None = None
        for weight, name in zip(weights, self.names, strict=True):
            part = self.bottlenecks[block_of(name)](layers[name])
            if part.shape[-1] != self.cells:
                part = F.interpolate(part, size=(self.cells, self.cells), mode="bilinear", align_corners=False)
            total = weight * part if total is None else total + weight * part
        assert total is not None
        return total


def block_of(name: str) -> str:
    """The block of a layer's name, "up0@t20" -> "up0": what shares a bottleneck."""
    return name.split("@")[0]


def head(width: int, out: int) -> nn.Sequential:
    """A head: 3 x 3 convolution block, 1 x 1, normalisation, ReLU, 1 x 1."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1),
        norm(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 1),
        norm(width),
        nn.ReLU(),
        nn.Conv2d(width, out, 1),
    )


class LandmarkNetwork(nn.Module):
    """Psi: aggregation, a one-channel detector and a descriptor volume."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.aggregation = AggregationNetwork(shape)
        self.detector = head(shape.width, 1)
        self.describe = head(shape.width, shape.descriptor)

    def forward(self, layers: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Maps by name -> detector logits (B, cells, cells), descriptors (B, D, cells, cells) of unit length."""
        aggregated = self.aggregation(layers)
        return self.detector(aggregated)[:, 0], F.normalize(self.describe(aggregated), dim=1)
