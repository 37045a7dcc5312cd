"""Stable Diffusion 1.x and 2.x: the picture goes through the VAE, the U-Net sees the latent and an empty prompt.

Knows AutoencoderKL, UNet2DConditionModel and CLIP. Stable Diffusion XL and transformers without a U-Net are refused
before this module is reached.

Paper is silent: it names no prompt. The empty one is used, as in Diffusion Hyperfeatures (Luo et al. 2023).
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor

from uld_explorer.features import loading
from uld_explorer.features.backbone import fingerprint, load_schedule, load_unet
from uld_explorer.features.hooks import UNetBackbone
from uld_explorer.features.loading import Repository
from uld_explorer.features.recipes import Recipe
from uld_explorer.types import UserError


class LatentBackbone(UNetBackbone):
    """Feature maps of a latent diffusion network.

    prompt  (1, L, D) in the network's dtype: the empty prompt, encoded once; the text encoder is not kept
    """

    def __init__(
        self,
        recipe: Recipe,
        unet: Any,
        vae: Any,
        prompt: Tensor,
        alphas: Tensor,
        device: torch.device,
        dtype: torch.dtype,
        fingerprint: str,
    ) -> None:
        """Place U-Net, VAE encoder and prompt. Raises UserError where the recipe does not fit."""
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)
        super().__init__(recipe, unet, alphas, device, dtype, fingerprint)
        self.vae = vae.to(device)
        self.prompt = prompt.to(device, dtype)

    @classmethod
    def load(
        cls,
        recipe: Recipe,
        repository: Repository,
        device: torch.device,
        dtype: torch.dtype,
        random_weights: int | None = None,
    ) -> LatentBackbone:
        """Read VAE, prompt, schedule and U-Net. Raises UserError for unreadable or unsupported networks."""
        config = loading.load_config(UNet2DConditionModel, repository, "unet")
        vae = loading.load_component(AutoencoderKL, repository, "vae", dtype=dtype)
        if config.get("in_channels", 4) != vae.config.latent_channels:
            raise UserError(
                f"'{recipe.name}' takes more than the picture (inpainting or depth), so it is not supported."
            )
        del vae.decoder
        prompt = empty_prompt(repository)
        alphas = load_schedule(repository)
        unet = load_unet(UNet2DConditionModel, recipe, repository, dtype, random_weights)
        mark = fingerprint(recipe, repository, dtype, random_weights)
        return cls(recipe, unet, vae, prompt, alphas, device, dtype, mark)

    def _encode(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) in -1...1 -> (B, 4, S/8, S/8) float32: the posterior's mode, shifted and scaled."""
        latent: Tensor = self.vae.encode(images.to(self.dtype)).latent_dist.mode().float()
        shift, scale = float(self.vae.config.shift_factor or 0.0), float(self.vae.config.scaling_factor)
        return (latent - shift) * scale

    def _forward(self, noisy: Tensor, timestep: int) -> object:
        prompt = self.prompt.expand(len(noisy), -1, -1)
        return self.unet(noisy, timestep, encoder_hidden_states=prompt)


@torch.inference_mode()
def empty_prompt(repository: Repository) -> Tensor:
    """The empty prompt as the U-Net is conditioned on it, (1, L, D) float32 on the CPU. Raises UserError."""
    from transformers import CLIPTextModel, CLIPTokenizer

    encoder = loading.load_component(CLIPTextModel, repository, "text_encoder", dtype=torch.float32)
    try:
        with loading.quiet():
            tokenizer = CLIPTokenizer.from_pretrained(repository.source, subfolder="tokenizer", **repository.where)
    except (OSError, ValueError) as error:
        raise UserError(f"The tokenizer of '{repository.source}' cannot be read: fetch it again.") from error
    length = encoder.config.max_position_embeddings
    tokens = tokenizer("", padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    states: Tensor = encoder(tokens.input_ids)[0]
    return states.clone()
