"""What the tests of several rooms share: a data folder of their own, dotted pictures, and two tiny networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

from uld_explorer.features.backbone import LayerSpec
from uld_explorer.features.recipes import Recipe
from uld_explorer.types import Annotations, ImageSet

GREY = 128
COLOURS = np.array([[250, 30, 30], [30, 230, 30], [40, 40, 250]])
SPREAD = 3.0
"""Standard deviation of a dot in pixels."""


@pytest.fixture()
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, so that no test reads what another one, or the user, has kept."""
    folder = tmp_path / "data"
    monkeypatch.setenv("ULD_DATA_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_ddpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pixel-space DDPM with 3 up-blocks, 32 px, one subfolder a part."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        unet = UNet2DModel(
            sample_size=32,
            block_out_channels=(16, 32, 48),
            layers_per_block=1,
            norm_num_groups=8,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        )
    folder = tmp_path_factory.mktemp("networks") / "tiny-ddpm"
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(folder)
    return folder


def pixel_centres(side: int) -> np.ndarray:
    """(side, side, 2): x and y of the centre of every pixel."""
    centres = np.arange(side) + 0.5
    return np.stack(np.meshgrid(centres, centres), -1)


def paint_dots(centres: np.ndarray, side: int) -> np.ndarray:
    """A grey picture with one soft dot of its own colour at each of the centres (K, 2)."""
    picture = np.full((side, side, 3), float(GREY))
    for centre, colour in zip(centres, COLOURS, strict=True):
        weight = np.exp(-((pixel_centres(side) - centre) ** 2).sum(-1) / (2 * SPREAD**2))
        picture += weight[..., None] * (colour - GREY)
    return np.clip(picture.round(), 0, 255).astype(np.uint8)


def scatter(rng: np.random.Generator, side: int) -> np.ndarray:
    """Centres (K, 2) inside the picture, far enough apart that no two dots touch."""
    while True:
        centres = rng.uniform(0.2 * side, 0.8 * side, (len(COLOURS), 2))
        apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1)[np.triu_indices(len(COLOURS), 1)]
        if apart.min() > 5 * SPREAD:
            return centres


def dotted_set(folder: Path, count: int, *, seed: int = 0, side: int = 48, annotated: bool = True) -> ImageSet:
    """Pictures of the same three dots at random places; the annotations are the centres."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    xy = np.stack([scatter(rng, side) for _ in range(count)])
    paths = tuple(folder / f"{i:03d}.png" for i in range(count))
    for path, centres in zip(paths, xy, strict=True):
        Image.fromarray(paint_dots(centres, side)).save(path)
    low, high = xy.min(1) - SPREAD, xy.max(1) + SPREAD
    truth = Annotations(xy, np.full((count, 3), 2, np.uint8), np.hstack([low, high - low]), ("red", "green", "blue"))
    ids = tuple(f"dots-{seed}-{i:03d}" for i in range(count))
    names = tuple(path.name for path in paths)
    return ImageSet(ids, names, paths, np.full((count, 2), side), (), truth if annotated else None, "dots")


class ColourBackbone:
    """Stands in for a diffusion model: its map holds the colours and the slope of their strength, cell by cell.

    The slope vanishes at a dot's centre only, so that the descriptors single the centre out. `seen` lists the pictures
    it was asked for, in order.
    """

    def __init__(self, side: int = 48, fingerprint: str = "colours", slope: float = 0.3) -> None:
        self.recipe = Recipe("colours", "assets:none", "pixel", side, (0,), (20,))
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.layers: tuple[LayerSpec, ...] = (LayerSpec("up0@t20", 0, 20, 5, side // 2),)
        self.fingerprint, self.slope = fingerprint, slope
        self.seen: list[str] = []

    def maps(self, images: torch.Tensor, ids: Sequence[str], seed: int = 0) -> dict[str, torch.Tensor]:
        self.seen += ids
        colour = F.avg_pool2d(images, 2)
        strength = F.pad(colour.norm(dim=1, keepdim=True), (1, 1, 1, 1), "replicate")
        slope_x = strength[:, :, 1:-1, 2:] - strength[:, :, 1:-1, :-2]
        slope_y = strength[:, :, 2:, 1:-1] - strength[:, :, :-2, 1:-1]
        return {"up0@t20": torch.cat([colour, self.slope * slope_x, self.slope * slope_y], 1)}
