"""From a recipe to a network that answers feature maps: the one entry to this room.

Knows what every backbone offers and how to choose the class. Imports torch and diffusers only when one is loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from uld_explorer.features import device as devices
from uld_explorer.features import loading
from uld_explorer.features.recipes import Recipe
from uld_explorer.types import UserError

if TYPE_CHECKING:
    import torch

    from uld_explorer.features.loading import Repository


@dataclass(frozen=True)
class LayerSpec:
    """One feature map a backbone answers.

    name      like "up1@t20": up-block 1 at timestep 20
    channels  C of its map
    size      h = w of its map, in cells, at the recipe's image size
    """

    name: str
    block: int
    timestep: int
    channels: int
    size: int


class Backbone(Protocol):
    """A frozen network that turns pictures into feature maps, Psi_b of the paper's Eq. 2 before its mixing.

    fingerprint  a key for caches: two backbones with the same fingerprint answer the same maps, on one kind of device
    """

    recipe: Recipe
    device: torch.device
    dtype: torch.dtype
    layers: tuple[LayerSpec, ...]
    fingerprint: str

    def maps(self, images: torch.Tensor, ids: Sequence[str], seed: int = 0) -> dict[str, torch.Tensor]:
        """One map a layer, (B, C, h, w) float32 on the backbone's device, in the order of `layers`.

        images  (B, 3, S, S) in -1...1, on any device; S a multiple the network can halve down to its bottleneck
        ids     B stable names; together with `seed` they fix each picture's noise
        """
        ...


def load_backbone(
    recipe: Recipe, *, device: str = "auto", dtype: str = "auto", random_weights: int | None = None
) -> Backbone:
    """Load a recipe's network and place it.

    device, dtype   see `choose_device` and `choose_dtype`
    random_weights  a seed: the U-Net keeps its architecture but gets random weights, the baseline of every figure.
                    A latent backbone keeps its VAE and its prompt, so that only the U-Net's learning is taken away.

    Raises UserError where the network is unreachable, unreadable, of an unsupported kind, or cannot take the recipe's
    picture size, blocks or timesteps.
    """
    where = devices.choose_device(device)
    form = devices.choose_dtype(where, dtype)
    repository = loading.open_repository(recipe.source, local=recipe.is_local, revision=recipe.revision)
    if _kind(recipe, repository) == "latent":
        from uld_explorer.features.latent import LatentBackbone

        return LatentBackbone.load(recipe, repository, where, form, random_weights)
    from uld_explorer.features.pixel import PixelBackbone

    return PixelBackbone.load(recipe, repository, where, form, random_weights)


def _kind(recipe: Recipe, repository: Repository) -> str:
    """latent or pixel, after the index where there is one. Raises UserError for networks of other kinds."""
    index = repository.index
    if "text_encoder_2" in index:
        raise UserError(f"'{recipe.name}' is a Stable Diffusion XL network, which is not supported: use sd15 or sd21.")
    unet = index.get("unet")
    if index and not (isinstance(unet, list) and unet[-1] in ("UNet2DConditionModel", "UNet2DModel")):
        raise UserError(f"'{recipe.name}' has no U-Net, so it is not supported: use sd15, sd21 or bundled.")
    if recipe.kind != "auto":
        return recipe.kind
    return "latent" if "vae" in index else "pixel"


def load_unet(cls: Any, recipe: Recipe, repository: Repository, dtype: torch.dtype, random_weights: int | None) -> Any:
    """The recipe's U-Net on the CPU: learned, replaced by the weights of `unet_repo`, or random.

    CleanDIFT publishes a bare state dict to be loaded strictly into the base pipeline's U-Net. Raises UserError.
    """
    if random_weights is not None:
        return loading.random_component(cls, repository, "unet", dtype=dtype, seed=random_weights)
    if recipe.unet_file is None:
        return loading.load_component(cls, repository, "unet", dtype=dtype)
    source = recipe.unet_repo or recipe.source
    if Path(source).is_absolute():
        weights = Path(source) / recipe.unet_file
    else:
        weights = loading.download(source, recipe.unet_file, recipe.unet_revision)
    return loading.component_from_file(cls, repository, "unet", weights, dtype=dtype)


def load_schedule(repository: Repository) -> torch.Tensor:
    """(T,) float32: how much of the picture is left at each timestep (alpha-bar). Raises UserError where unknown."""
    from diffusers import DDPMScheduler

    config = loading.load_config(DDPMScheduler, repository, "scheduler")
    with loading.quiet():
        scheduler: Any = DDPMScheduler.from_config(config)
    alphas: torch.Tensor = scheduler.alphas_cumprod
    return alphas.float()


def fingerprint(recipe: Recipe, repository: Repository, dtype: torch.dtype, random_weights: int | None) -> str:
    """32 hexadecimal digits over all that changes the maps: the numbers of the recipe, the weights, the format.

    Call it after loading, when it is known which weight variant was there. The name and the notes do not count.
    """
    numbers = (recipe.image_size, recipe.blocks, recipe.timesteps, recipe.noise_draws, recipe.clean)
    unet: list[str | None] = [recipe.unet_repo, recipe.unet_file, recipe.unet_revision]
    if recipe.unet_file and recipe.unet_repo and Path(recipe.unet_repo).is_absolute():
        path = Path(recipe.unet_repo) / recipe.unet_file
        unet = [loading.file_hash(path, path.stat().st_size, path.stat().st_mtime_ns)]
    what = {
        "numbers": numbers,
        "weights": loading.weights_identity(repository),
        "variants": dict(sorted(repository.variants.items())),
        "unet": unet,
        "random": random_weights,
        "dtype": str(dtype),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]
