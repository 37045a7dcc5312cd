"""A diffusion network that works on the pixels themselves: an unconditional U-Net, no VAE, no prompt.

Knows UNet2DModel of diffusers, in a `unet` folder or at the root of a repository. A U-Net with 3 p^2 input channels
works on patches of p x p pixels (pixel-unshuffle), as the bundled one does.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from diffusers import UNet2DModel
from torch import Tensor

from uld_explorer.features import loading
from uld_explorer.features.backbone import fingerprint, load_schedule, load_unet
from uld_explorer.features.hooks import UNetBackbone
from uld_explorer.features.loading import Repository
from uld_explorer.features.recipes import Recipe
from uld_explorer.types import UserError


def patch_side(channels: int) -> int:
    """The p of a network with 3 p^2 input channels: 3 -> 1, 12 -> 2, 48 -> 4; 0 for any other number."""
    side = math.isqrt(channels // 3) if channels > 0 else 0
    return side if 3 * side**2 == channels else 0


class PixelBackbone(UNetBackbone):
    """Feature maps of a pixel-space DDPM."""

    @classmethod
    def load(
        cls,
        recipe: Recipe,
        repository: Repository,
        device: torch.device,
        dtype: torch.dtype,
        random_weights: int | None = None,
    ) -> PixelBackbone:
        """Read the U-Net and its schedule. Raises UserError for unreadable, class-conditional or other networks."""
        config = loading.load_config(UNet2DModel, repository, "unet")
        if (
            patch_side(config.get("in_channels", 3)) == 0
            or config.get("class_embed_type")
            or config.get("num_class_embeds")
        ):
            raise UserError(f"'{recipe.name}' does not take plain colour pictures, so it is not supported.")
        alphas = load_schedule(repository)
        unet = load_unet(UNet2DModel, recipe, repository, dtype, random_weights)
        key = fingerprint(recipe, repository, dtype, random_weights)
        return cls(recipe, unet, alphas, device, dtype, key)

    def __init__(
        self, recipe: Recipe, unet: Any, alphas: Tensor, device: torch.device, dtype: torch.dtype, fingerprint: str
    ) -> None:
        """Place the U-Net. Raises UserError where it cannot take the recipe's size, blocks or timesteps."""
        self.factor = patch_side(unet.config.in_channels)
        super().__init__(recipe, unet, alphas, device, dtype, fingerprint)

    def _encode(self, images: Tensor) -> Tensor:
        return F.pixel_unshuffle(images, self.factor)

    def _forward(self, noisy: Tensor, timestep: int) -> object:
        return self.unet(noisy, timestep)
