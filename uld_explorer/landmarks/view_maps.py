"""Feature maps of several views of every picture: what self-training reads instead of running the diffusion model.

The diffusion U-Net is frozen in every stage, so each view passes it once, into the store.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uld_explorer.data.augmentation import ViewRanges, Views, draw_views, view_affines, view_pictures
from uld_explorer.data.regions import crop_affines
from uld_explorer.events import Stage
from uld_explorer.features.backbone import Backbone
from uld_explorer.features.store import FeatureMaps, iter_extract_crops
from uld_explorer.landmarks.zero_shot import ZeroShotSettings, context_of, search_cells
from uld_explorer.types import ImageSet, Regions

MIRRORED = 2
"""The first view that is mirrored, see `draw_views`; there is one from three views on."""


@dataclass(frozen=True)
class ViewMaps:
    """V views each of N pictures.

    maps     N * V rows, view after view
    views    how each view lies in its picture's crop
    affines  (N, 2, 3) crop units of view 0 -> pixels of the original picture
    inside   (N, cells, cells) bool, where landmarks may be in view 0
    """

    maps: FeatureMaps
    views: Views
    affines: np.ndarray
    inside: np.ndarray

    def __len__(self) -> int:
        return len(self.affines)

    @property
    def count(self) -> int:
        """V."""
        return self.views.mirrored.shape[1]

    @property
    def layers(self) -> dict[str, int]:
        """Layer name -> channels."""
        return {name: values.shape[1] for name, values in self.maps.layers.items()}

    def take(self, rows: np.ndarray, view: np.ndarray | int = 0) -> dict[str, Tensor]:
        """Layer name -> (B, C, h, w) float32 of one view each of the pictures in `rows`."""
        at = np.asarray(rows) * self.count + view
        return {name: torch.from_numpy(np.asarray(v[at], np.float32)) for name, v in self.maps.layers.items()}

    def transforms(self, rows: np.ndarray, view: np.ndarray | int) -> Tensor:
        """(B, 2, 3) crop units of view 0 -> those of the view."""
        return torch.from_numpy(self.views.transforms[rows, view]).float()

    def mirrored(self, rows: np.ndarray, view: np.ndarray | int) -> Tensor:
        """(B,) bool."""
        return torch.from_numpy(self.views.mirrored[rows, view])


def iter_view_maps(
    images: ImageSet, regions: Regions, settings: ZeroShotSettings, backbone: Backbone, count: int, ranges: ViewRanges
) -> Stage[ViewMaps]:
    """Maps of `count` views of every picture, from the store where they are already there.

    One view is the crop itself, the same that ZeroShot sees.
    """
    affines = crop_affines(regions, context_of(regions, settings))
    views = draw_views(images.ids, count, ranges, settings.seed)
    maps = yield from iter_extract_crops(
        view_pictures(images, views),
        view_affines(affines, views),
        backbone,
        seed=settings.seed,
        batch=settings.batch,
        tinted=count > 1,
    )
    return ViewMaps(maps, views, affines, search_cells(regions, settings))
