"""The noise of a picture: always the same for the same picture, whatever its batch or its device.

Knows nothing about networks or schedules.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def picture_noise(
    ids: Sequence[str], shape: tuple[int, int, int], timestep: int, draw: int = 0, seed: int = 0
) -> torch.Tensor:
    """Standard normal noise, (B, C, h, w) float32 on the CPU, one picture per id.

    Each picture has its own generator, seeded by a hash of (id, timestep, draw, seed), so a picture's features do not
    depend on which pictures it is computed with. Paper is silent: it does not say how the noise is drawn.

    ids    B stable names of pictures
    shape  (C, h, w) of one picture in the network's input space
    """
    import torch

    generator = torch.Generator(device="cpu")
    noises = [torch.empty((0, *shape))]
    for picture in ids:
        generator.manual_seed(_number(picture, timestep, draw, seed))
        noises.append(torch.randn((1, *shape), generator=generator, dtype=torch.float32))
    return torch.cat(noises)


def _number(picture: str, timestep: int, draw: int, seed: int) -> int:
    words = json.dumps([picture, int(timestep), int(draw), int(seed)]).encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") >> 1
