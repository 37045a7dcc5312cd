"""Pictures to train the bundled backbone on: photographs, and pictures cropped, turned, mirrored and tinted."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

SIZE, PATCH, SOURCE = 64, 2, 144
"""Side of a training picture, of its patches, and of the pictures it is cropped from, in pixels."""


def face_pool(folder: Path) -> torch.Tensor:
    """(N, 3, SOURCE, SOURCE) uint8 photographs from every ZIP in `folder`."""
    faces = []
    for archive in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(archive) as z:
            for name in sorted(z.namelist()):
                image = Image.open(io.BytesIO(z.read(name))).convert("RGB")
                faces.append(np.asarray(image.resize((SOURCE, SOURCE), Image.Resampling.LANCZOS)))
    return torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2)


def random_crops(images: torch.Tensor, rng: torch.Generator, low: float, high: float) -> torch.Tensor:
    """Similarity crops (B, 3, SIZE, SIZE) in -1...1: side low...high of the picture, turned, shifted, mirrored."""
    theta = draw_similarity(rng, (low, high), draw_mirror(len(images), rng), turn=0.25, shift=0.15)
    return read_at(images, F.affine_grid(theta, [len(images), 3, SIZE, SIZE], align_corners=False))


def draw_mirror(n: int, rng: torch.Generator) -> torch.Tensor:
    """(N,) -1 for pictures to be mirrored, else 1."""
    return torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)


def draw_similarity(
    rng: torch.Generator, sides: tuple[float, float], mirror: torch.Tensor, turn: float, shift: float
) -> torch.Tensor:
    """(N, 2, 3) from coordinates of a crop to those of its picture, both -1...1.

    sides   the crop's side as a share of the picture's, uniform between these
    mirror  (N,) 1 or -1
    turn    radians, standard deviation
    shift   in all, beyond what leaves a smaller crop inside the picture
    """
    n, (low, high) = len(mirror), sides
    side = low + (high - low) * torch.rand(n, generator=rng)
    angle = torch.randn(n, generator=rng) * turn
    offset = (torch.rand(n, 2, generator=rng) - 0.5) * (shift + (1 - side).clamp(min=0)[:, None])
    cos, sin = side * angle.cos(), side * angle.sin()
    return torch.stack([mirror * cos, -sin, offset[:, 0], mirror * sin, cos, offset[:, 1]], 1).view(n, 2, 3)


def read_at(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Pictures (N, 3, S, S) uint8 read at a grid (N, SIZE, SIZE, 2) of -1...1 coordinates, as -1...1."""
    return F.grid_sample(images.float() / 127.5 - 1, grid, padding_mode="reflection", align_corners=False)


def photometric(x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Brightness, contrast, colour, greyscale and blur, a little of each: pictures in the wild vary more than ours."""
    n = len(x)

    def draw(low: float, high: float, channels: int = 1) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, channels, 1, 1, generator=rng)

    x = x * draw(0.7, 1.2) * draw(0.92, 1.08, 3) + draw(-0.2, 0.2)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * torch.where(draw(0, 1) < 0.1, torch.zeros(1), draw(0.6, 1.3))
    coarse = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
    coarser = F.interpolate(F.avg_pool2d(x, 4), scale_factor=4, mode="bilinear")
    pick = draw(0, 1)
    return torch.where(pick < 0.15, coarse, torch.where(pick > 0.9, coarser, x)).clamp(-1, 1)


def draw_batch(pools: list[torch.Tensor], batch: int, rng: torch.Generator) -> torch.Tensor:
    """Patches (batch, 12, 32, 32): one half from each pool."""
    crops = []
    for images, (low, high) in zip(pools, ((0.5, 1.05), (0.36, 1.0)), strict=True):
        rows = torch.randint(len(images), (batch // len(pools),), generator=rng)
        crops.append(random_crops(images[rows], rng, low, high))
    return F.pixel_unshuffle(photometric(torch.cat(crops), rng), PATCH)
