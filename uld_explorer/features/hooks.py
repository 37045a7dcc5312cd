"""What latent and pixel backbones share: read a U-Net's up-blocks, stop early, average over noises.

Knows U-Nets of diffusers (`unet.up_blocks`, coarsest first). Knows nothing about VAEs, prompts or files.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from uld_explorer.features.backbone import LayerSpec
from uld_explorer.features.noise import picture_noise
from uld_explorer.features.recipes import Recipe
from uld_explorer.types import UserError


class _Stop(Exception):  # noqa: N818 - a signal, not an error
    """Raised by the last needed block: nothing after it is computed."""


def capture(unet: Any, blocks: Sequence[int], run: Callable[[], object]) -> dict[int, Tensor]:
    """Call `run`, which passes something through `unet`, and return what the up-blocks answered.

    The pass ends at the last block asked for; the answers are bit-identical to those of a whole pass. The hooks are
    removed in any case.

    Returns up-block index -> (N, C, h, w), the network's dtype.
    """
    found: dict[int, Tensor] = {}
    last = max(blocks)

    def listener(block: int) -> Callable[[Any, Any, Tensor], None]:
        def hook(_module: Any, _inputs: Any, output: Tensor) -> None:
            found[block] = output
            if block == last:
                raise _Stop

        return hook

    handles = [unet.up_blocks[block].register_forward_hook(listener(block)) for block in blocks]
    try:
        run()
    except _Stop:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found


def layer_specs(recipe: Recipe, channels: Sequence[int], side: int) -> tuple[LayerSpec, ...]:
    """The layers of a recipe, timestep by timestep, coarse to fine.

    channels  block_out_channels of the U-Net, as in its configuration (finest first)
    side      side of the U-Net's input, in cells

    Raises UserError where the U-Net has not got the blocks.
    """
    count = len(channels)
    if recipe.blocks[-1] >= count:
        raise UserError(f"'{recipe.name}' has the up-blocks 0 to {count - 1}: choose among them.")
    coarsest = side // 2 ** (count - 1)
    return tuple(
        LayerSpec(f"up{block}@t{t}", block, t, channels[count - 1 - block], coarsest * 2 ** min(block + 1, count - 1))
        for t in recipe.timesteps
        for block in recipe.blocks
    )


class UNetBackbone(ABC):
    """The shared body: check, encode, add noise, pass, average.

    alphas  (T,) float32, the cumulative product of 1 - beta of the network's schedule
    factor  pixels per cell of the U-Net's input: 1 in pixel space (p over patches of p x p), 8 behind Stable
            Diffusion's VAE
    """

    factor = 1

    def __init__(
        self, recipe: Recipe, unet: Any, alphas: Tensor, device: torch.device, dtype: torch.dtype, fingerprint: str
    ) -> None:
        """Place the U-Net. Raises UserError where it cannot take the recipe's size, blocks or timesteps."""
        channels = tuple(unet.config.block_out_channels)
        self.recipe, self.device, self.dtype, self.fingerprint = recipe, device, dtype, fingerprint
        self.multiple = self.factor * 2 ** (len(channels) - 1)
        self._check_recipe(len(alphas))
        self.layers = layer_specs(recipe, channels, recipe.image_size // self.factor)
        self.alphas = alphas
        self.unet = unet.to(device)

    def _check_recipe(self, steps: int) -> None:
        recipe, multiple = self.recipe, self.multiple
        if recipe.image_size % multiple:
            near = max(1, round(recipe.image_size / multiple)) * multiple
            raise UserError(
                f"'{recipe.name}' cannot take pictures of {recipe.image_size} pixels: "
                f"choose a multiple of {multiple}, such as {near}."
            )
        if recipe.timesteps[-1] >= steps:
            raise UserError(f"'{recipe.name}' has the timesteps 0 to {steps - 1}: choose among them.")

    @abstractmethod
    def _encode(self, images: Tensor) -> Tensor:
        """Pictures, (B, 3, S, S) float32 in -1...1, as the U-Net's clean input, (B, C, h, w) float32."""

    @abstractmethod
    def _forward(self, noisy: Tensor, timestep: int) -> object:
        """One pass of the U-Net over (N, C, h, w) in its dtype."""

    def maps(self, images: Tensor, ids: Sequence[str], seed: int = 0) -> dict[str, Tensor]:
        """One map a layer, (B, C, h, w) float32 on the backbone's device; see `Backbone.maps`.

        Raises ValueError for a wrong shape, or ids that do not match the pictures.
        """
        self._check_images(images, ids)
        with torch.inference_mode():
            found = self._all_maps(images, ids, seed)
        # Cloned outside the mode, so that what comes after may be trained on them; and channel after channel, because
        # training on the order that a U-Net may leave crashes torch's group normalisation on the CPU.
        return {name: found[name].clone(memory_format=torch.contiguous_format) for name in found}

    def _all_maps(self, images: Tensor, ids: Sequence[str], seed: int) -> dict[str, Tensor]:
        clean = self._encode(images.to(self.device, torch.float32))
        maps: dict[str, Tensor] = {}
        for timestep in self.recipe.timesteps:
            noisy = self._noisy(clean, ids, timestep, seed)
            found = capture(self.unet, self.recipe.blocks, lambda: self._forward(noisy, timestep))  # noqa: B023
            for block in self.recipe.blocks:
                draws = found[block].float()
                draws = draws.reshape(-1, len(ids), *draws.shape[1:])
                maps[f"up{block}@t{timestep}"] = draws[0] if len(draws) == 1 else draws.mean(0)
        return maps

    def _check_images(self, images: Tensor, ids: Sequence[str]) -> None:
        shape = tuple(images.shape)
        fits = len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3] and shape[2] % self.multiple == 0
        if not fits or shape[0] == 0 or shape[2] == 0:
            raise ValueError(f"images must be (B, 3, S, S), S a multiple of {self.multiple}; got {shape}")
        if len(ids) != shape[0]:
            raise ValueError(f"{shape[0]} images need {shape[0]} ids; got {len(ids)}")

    def _noisy(self, clean: Tensor, ids: Sequence[str], timestep: int, seed: int) -> Tensor:
        """All noise draws of one timestep, draw by draw, (draws * B, C, h, w) in the U-Net's dtype.

        x_t = sqrt(alpha_t) x_0 + sqrt(1 - alpha_t) noise (Ho et al. 2020, Eq. 4). A clean recipe gets x_0 itself.
        """
        if self.recipe.clean:
            return clean.to(self.dtype)
        shape = (clean.shape[1], clean.shape[2], clean.shape[3])
        keep = float(self.alphas[timestep])
        draws = range(self.recipe.noise_draws)
        noise = torch.stack([picture_noise(ids, shape, timestep, draw, seed) for draw in draws]).to(self.device)
        noisy = math.sqrt(keep) * clean + math.sqrt(1 - keep) * noise
        return noisy.flatten(0, 1).to(self.dtype)
