"""Rendered heads in several views, and where a point of one view lies in another.

A turn in depth is one more transformation of a picture whose effect is known, as shifting and bending are: here from
the renderer's depth and cameras, for real things from a depth camera moved around them (Florence et al., Dense object
nets, CoRL 2018). Nothing tells what a point *is*, and nothing ties one person's points to another's.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from tools.training_pictures import SOURCE
from uld_explorer.data.heads.scene import RenderedView, render_view

HEAD_SEED = 7_000_001
"""Rendered training heads come from this series; `demo:heads` seeds are small numbers, so the two never meet."""
TOLERANCE = 0.08
"""How far from the drawn surface, in head units, a point may end and still be the same point."""


def yaw_of(rotation: torch.Tensor) -> torch.Tensor:
    """(N,) radians for (N, 3, 3): which way each head looks, positive to the picture's right."""
    return torch.atan2(rotation[:, 0, 2], rotation[:, 2, 2])


@dataclass(frozen=True)
class Surface:
    """What N pictures show, in depth. Picture coordinates run from -1 to 1.

    depth     (N, S, S) head units towards the viewer, -inf where there is nothing
    rotation  (N, 3, 3) from head space to camera space (x right, y up, z towards the viewer)
    place     (N, 3) picture units a head unit, and x and y of the head's origin in the picture
    """

    depth: torch.Tensor
    rotation: torch.Tensor
    place: torch.Tensor

    @classmethod
    def flat(cls, n: int) -> Surface:
        """Photographs: things without depth, seen from in front."""
        place = torch.tensor([1.0, 0.0, 0.0]).expand(n, 3)
        return cls(torch.zeros(n, 1, 1), torch.eye(3).expand(n, 3, 3), place)

    def __getitem__(self, rows: torch.Tensor) -> Surface:
        return Surface(self.depth[rows], self.rotation[rows], self.place[rows])

    def depth_at(self, points: torch.Tensor) -> torch.Tensor:
        """(N, M) for picture points (N, M, 2); -inf outside the picture."""
        found = F.grid_sample(self.depth[:, None].float(), points[:, None], mode="nearest", align_corners=False)[
            :, 0, 0
        ]
        return torch.where((points.abs() < 1).all(-1), found, -torch.inf)

    def lift(self, points: torch.Tensor) -> torch.Tensor:
        """Picture points (N, M, 2) to head space (N, M, 3); not finite where there is nothing."""
        flat = (points - self.place[:, None, 1:]) / self.place[:, None, :1] * torch.tensor([1.0, -1.0])
        return torch.cat([flat, self.depth_at(points)[..., None]], -1) @ self.rotation

    def project(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Head space (N, M, 3) to picture points (N, M, 2), and whether each is seen there (N, M)."""
        camera = points @ self.rotation.mT
        flat = camera[..., :2] * torch.tensor([1.0, -1.0])
        places = self.place[:, None, 1:] + self.place[:, None, :1] * flat
        seen = (camera[..., 2] - self.depth_at(places)).abs() < TOLERANCE
        return places, seen


@dataclass(frozen=True)
class Pool:
    """Pictures (P, 3, S, S) uint8 with their surfaces; `views` neighbours each show one and the same thing."""

    images: torch.Tensor
    surface: Surface
    views: int

    def __len__(self) -> int:
        return len(self.images)

    def split(self, held: int) -> tuple[Pool, Pool]:
        """All but the last `held` things, and the pictures of those."""
        at = len(self) - held * self.views
        parts = [torch.arange(at), torch.arange(at, len(self))]
        first, last = (Pool(self.images[rows], self.surface[rows], self.views) for rows in parts)
        return first, last

    def draw_pair(self, n: int, rng: torch.Generator, widest: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of two different views each of n things, at most `widest` radians of yaw apart as far as there are such.

        Where a thing has only one view, twice that.
        """
        drawn = n if self.views == 1 else 8 * n
        thing = torch.randint(len(self) // self.views, (drawn,), generator=rng) * self.views
        one, two = (thing + torch.randint(self.views, (drawn,), generator=rng) for _ in range(2))
        gap = (yaw_of(self.surface.rotation[one]) - yaw_of(self.surface.rotation[two])).abs()
        best = ((gap > widest) | (one == two)).int().argsort(stable=True)[:n]
        return one[best], two[best]


def _render(which: tuple[int, int]) -> RenderedView:
    return render_view(HEAD_SEED, *which, SOURCE)


def head_pool(count: int, views: int, cache: Path, workers: int) -> Pool:
    """`count` rendered heads in `views` poses each, kept in `cache`."""
    file = cache / f"heads_{count}x{views}_{SOURCE}.npz"
    if not file.exists():
        which = [(index, view) for index in range(count) for view in range(views)]
        with ProcessPoolExecutor(workers) as pool:
            np.savez(file, allow_pickle=False, **_pack(list(pool.map(_render, which, chunksize=50))))
    packed = {name: torch.from_numpy(value) for name, value in np.load(file).items()}
    surface = Surface(packed["depth"], packed["rotation"], packed["place"])
    return Pool(packed["image"].permute(0, 3, 1, 2), surface, views)


def _pack(views: list[RenderedView]) -> dict[str, np.ndarray]:
    place = [[2 * v.camera.scale / SOURCE, *(2 * v.camera.origin / SOURCE - 1)] for v in views]
    return {
        "image": np.stack([v.image for v in views]),
        "depth": np.stack([v.depth for v in views]).astype(np.float16),
        "rotation": np.stack([v.camera.rotation for v in views]).astype(np.float32),
        "place": np.array(place, dtype=np.float32),
    }
