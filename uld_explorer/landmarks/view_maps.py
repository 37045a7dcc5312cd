"""Feature maps of several views of every picture: what self-training reads instead of running the diffusion model.

The diffusion U-Net is frozen in every stage, so each view passes it once, into the store, reduced to its principal
components where a layer is wide. In exact mode nothing is stored: every step runs the diffusion model again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from uld_explorer.data.augmentation import ViewRanges, Views, draw_views, view_affines, view_pictures
from uld_explorer.data.regions import crop_affines
from uld_explorer.events import Stage
from uld_explorer.features import processes
from uld_explorer.features.aggregation import Aggregation, fit_aggregation
from uld_explorer.features.backbone import Backbone
from uld_explorer.features.store import FeatureMaps, LiveMaps, Maps, iter_extract_crops
from uld_explorer.landmarks.zero_shot import context_of, search_cells
from uld_explorer.types import ImageSet, Regions

if TYPE_CHECKING:
    from uld_explorer.landmarks.d_uld import TrainingSettings
    from uld_explorer.landmarks.network import LandmarkNetwork

MIRRORED = 2
"""The first view that is mirrored, see `draw_views`; there is one from three views on."""
CPU = torch.device("cpu")
REDUCTION_PICTURES = 64
"""Pictures that the principal components of a layer are fitted on."""


@dataclass(frozen=True)
class ViewMaps:
    """V views each of N pictures.

    maps       N * V rows, view after view
    views      how each view lies in its picture's crop
    affines    (N, 2, 3) crop units of view 0 -> pixels of the original picture
    inside     (N, cells, cells) bool, where landmarks may be in view 0
    device     where the network is trained; all tensors that are answered lie there
    reduction  what the maps were reduced by
    """

    maps: Maps
    views: Views
    affines: np.ndarray
    inside: np.ndarray
    device: torch.device = CPU
    reduction: Aggregation | None = None

    def __len__(self) -> int:
        return len(self.affines)

    @property
    def count(self) -> int:
        """V."""
        return self.views.mirrored.shape[1]

    @property
    def layers(self) -> dict[str, int]:
        """Layer name -> channels."""
        return self.maps.channels

    def take(self, rows: np.ndarray, view: np.ndarray | int = 0) -> dict[str, Tensor]:
        """Layer name -> (B, C, h, w) float32 of one view each of the pictures in `rows`."""
        maps = self.maps.take(np.asarray(rows) * self.count + view)
        return {name: values.to(self.device) for name, values in maps.items()}

    def tensor(self, array: np.ndarray) -> Tensor:
        """An array where the network is; numbers become float32."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return (tensor.float() if tensor.is_floating_point() else tensor).to(self.device)

    def transforms(self, rows: np.ndarray, view: np.ndarray | int) -> Tensor:
        """(B, 2, 3) crop units of view 0 -> those of the view."""
        return self.tensor(self.views.transforms[rows, view])

    def mirrored(self, rows: np.ndarray, view: np.ndarray | int) -> np.ndarray:
        """(B,) bool."""
        return np.asarray(self.views.mirrored[rows, view])


def run_network(network: LandmarkNetwork, data: ViewMaps, rows: np.ndarray, view: np.ndarray) -> tuple[Tensor, Tensor]:
    """Logits and descriptors of a view (B,) each of the pictures `rows` (B,), the work shared among processes."""
    mine = processes.own_rows(len(rows))
    logits, volume = network(data.take(rows[mine], view[mine]))
    return processes.gather(logits, len(rows)), processes.gather(volume, len(rows))


def iter_view_maps(
    images: ImageSet, regions: Regions, settings: TrainingSettings, backbone: Backbone
) -> Stage[ViewMaps]:
    """Maps of the settings' views of every picture, from the store where they are already there.

    One view is the crop itself, the same that ZeroShot sees.
    """
    affines = crop_affines(regions, context_of(regions, settings))
    turn = ViewRanges(settings.rotation, (1 - settings.scaling, 1 + settings.scaling), settings.shift)
    views = draw_views(images.ids, settings.views, turn, settings.seed)
    pictures, crops = view_pictures(images, views), view_affines(affines, views)
    inside = search_cells(regions, settings)
    if settings.exact:
        live = LiveMaps(pictures, crops, backbone, settings.seed, tinted=True)
        return ViewMaps(live, views, affines, inside, backbone.device)
    reduction = yield from _iter_fit_reduction(images, affines, settings, backbone)
    maps = yield from iter_extract_crops(
        pictures, crops, backbone, seed=settings.seed, batch=settings.batch, tinted=True, reduction=reduction
    )
    return ViewMaps(maps, views, affines, inside, backbone.device, reduction)


def iter_plain_maps(
    images: ImageSet, regions: Regions, settings: TrainingSettings, backbone: Backbone, reduction: Aggregation | None
) -> Stage[ViewMaps]:
    """Maps of the pictures as they are, one view each, reduced as those that a network was trained on."""
    affines = crop_affines(regions, context_of(regions, settings))
    views = draw_views(images.ids, 1, ViewRanges(), settings.seed)
    maps = yield from iter_extract_crops(
        images, affines, backbone, seed=settings.seed, batch=settings.batch, reduction=reduction
    )
    return ViewMaps(maps, views, affines, search_cells(regions, settings), backbone.device, reduction)


def _iter_fit_reduction(
    images: ImageSet, affines: np.ndarray, settings: TrainingSettings, backbone: Backbone
) -> Stage[Aggregation | None]:
    """Principal components of every layer, fitted on some of the pictures; None where all layers are narrow."""
    if max(layer.channels for layer in backbone.layers) <= settings.channels:
        return None
    rows = np.unique(np.linspace(0, len(images) - 1, min(REDUCTION_PICTURES, len(images))).astype(int))
    sample: FeatureMaps = yield from iter_extract_crops(
        images.take(rows), affines[rows], backbone, seed=settings.seed, batch=settings.batch
    )
    return fit_aggregation(sample, settings.channels, whitening=0.0, sample=len(rows))
