"""The bundled backbone's net, noise schedule and error: a U-Net over patches that predicts velocities."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

from tools.training_pictures import PATCH, SIZE


def build_unet() -> Any:
    """About 5 M parameters: 32 x 32, 16 x 16 and 8 x 8 cells, attention at the coarsest."""
    return UNet2DModel(
        sample_size=SIZE // PATCH,
        in_channels=3 * PATCH**2,
        out_channels=3 * PATCH**2,
        layers_per_block=1,
        block_out_channels=(64, 112, 160),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=16,
        attention_head_dim=32,
    )


def build_scheduler() -> Any:
    """Stable Diffusion's noise schedule, v-prediction: more weight on global structure than noise prediction gives."""
    return DDPMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=True,
    )


def noise_levels(t: torch.Tensor, scheduler: Any, rng: torch.Generator) -> torch.Tensor:
    """How much of the picture is left (alpha-bar) at every cell, (B, 1, cells, cells).

    Half of the pictures have random blocks of 8 x 8 pixels at the highest noise, whatever their timestep: what is
    hidden there has to be inferred from what is seen around it, also when that is almost clean. Features are taken
    from almost clean pictures, where plain denoising asks for no more than local smoothing.
    """
    cells, block = SIZE // PATCH, 8 // PATCH
    share = 0.2 + 0.5 * torch.rand(len(t), 1, 1, 1, generator=rng)
    share = share * (torch.rand(len(t), 1, 1, 1, generator=rng) < 0.5)
    hidden = torch.rand(len(t), 1, cells // block, cells // block, generator=rng) < share
    hidden = hidden.repeat_interleave(block, 2).repeat_interleave(block, 3)
    seen = scheduler.alphas_cumprod[t].view(-1, 1, 1, 1)
    return torch.where(hidden, scheduler.alphas_cumprod[-1], seen)


def spread(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """One value a picture (B,) for all its cells, (B, 1, cells, cells)."""
    return values.view(-1, 1, 1, 1).expand(-1, *like.shape[1:])


def velocity_error(
    unet: Any, x: torch.Tensor, t: torch.Tensor, noise: torch.Tensor, alpha: torch.Tensor
) -> torch.Tensor:
    """Squared error of the predicted velocity, (B, C, cells, cells), for alpha-bar given for every cell."""
    noisy = alpha.sqrt() * x + (1 - alpha).sqrt() * noise
    target = alpha.sqrt() * noise - (1 - alpha).sqrt() * x
    with torch.autocast(x.device.type, torch.bfloat16):
        predicted = unet(noisy, t).sample
    return (predicted.float() - target).square()


@torch.no_grad()
def sample(unet: Any, count: int, steps: int, seed: int) -> np.ndarray:
    """(count, SIZE, SIZE, 3) uint8 pictures by DDIM."""
    scheduler: Any = DDIMScheduler.from_config(build_scheduler().config)
    scheduler.set_timesteps(steps)
    cells = SIZE // PATCH
    x = torch.randn(count, 3 * PATCH**2, cells, cells, generator=torch.Generator().manual_seed(seed))
    for t in scheduler.timesteps:
        x = scheduler.step(unet(x, t).sample, t, x).prev_sample
    return to_pixels(x)


@torch.no_grad()
def guesses(unet: Any, x: torch.Tensor, t: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Patches (N, 12, cells, cells) with noise of timestep t, and the clean pictures guessed from them in one step."""
    alpha = build_scheduler().alphas_cumprod[t]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    noisy = alpha.sqrt() * x + (1 - alpha).sqrt() * noise
    clean = alpha.sqrt() * noisy - (1 - alpha).sqrt() * unet(noisy, torch.tensor(t)).sample
    return to_pixels(noisy), to_pixels(clean)


def to_pixels(patches: torch.Tensor) -> np.ndarray:
    """(N, SIZE, SIZE, 3) uint8 of patches (N, 12, cells, cells) in -1...1."""
    pixels = F.pixel_shuffle(patches, PATCH).clamp(-1, 1).permute(0, 2, 3, 1)
    return ((pixels.numpy() + 1) * 127.5).astype(np.uint8)
