"""The feature store: the frozen backbone sees each picture once, whatever is done with the maps afterwards.

Maps are kept at their native resolution as float16, memory-mapped, in a folder named by what they depend on
(backbone, noise seed, pictures, crops, reduction). A killed extraction goes on where it stopped; several processes
share one. Knows nothing of landmarks.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from uld_explorer import paths
from uld_explorer.data.augmentation import tint
from uld_explorer.data.regions import crop_affines, read_crop
from uld_explorer.events import Stage, progress
from uld_explorer.features import processes
from uld_explorer.features.aggregation import Aggregation
from uld_explorer.features.backbone import Backbone, LayerSpec
from uld_explorer.types import ImageSet, Regions

if TYPE_CHECKING:
    import torch

LIMIT_GB = float(os.environ.get("ULD_CACHE_GB", "8"))
"""The store is pruned, oldest first, when it outgrows this."""


class Maps(Protocol):
    """Maps of N pictures, from the store or computed anew.

    key names all that they depend on; channels: layer name -> C; take(rows) answers layer name -> (B, C, h, w) float32.
    """

    @property
    def key(self) -> str: ...

    @property
    def channels(self) -> dict[str, int]: ...

    def take(self, rows: np.ndarray) -> dict[str, torch.Tensor]: ...


@dataclass(frozen=True)
class FeatureMaps:
    """Maps of N pictures, on disk.

    layers   name -> (N, C, h, w) float16
    affines  (N, 2, 3): crop units -> pixels of the original picture
    key      the folder's name
    """

    layers: dict[str, np.ndarray]
    affines: np.ndarray
    key: str = ""

    def __len__(self) -> int:
        return len(self.affines)

    @property
    def channels(self) -> dict[str, int]:
        """Layer name -> C."""
        return {name: values.shape[1] for name, values in self.layers.items()}

    def take(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Layer name -> (B, C, h, w) float32 of the pictures in `rows`."""
        import torch

        return {name: torch.from_numpy(np.asarray(v[rows], np.float32)) for name, v in self.layers.items()}


@dataclass(frozen=True)
class LiveMaps:
    """Maps that are computed anew whenever they are asked for: without store, reduction or half precision.

    images, affines (N, 2, 3), seed, tinted: as for `iter_extract_crops`
    """

    images: ImageSet
    affines: np.ndarray
    backbone: Backbone
    seed: int
    tinted: bool = False

    @property
    def key(self) -> str:
        """Names all that the maps depend on."""
        return "live-" + store_key(self.images, self.affines, self.backbone, self.seed, self.tinted)

    @property
    def channels(self) -> dict[str, int]:
        """Layer name -> C."""
        return {layer.name: layer.channels for layer in self.backbone.layers}

    def take(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Layer name -> (B, C, h, w) float32 of the pictures in `rows`."""
        crops = read_crops(self.images, self.affines, rows.tolist(), self.backbone.recipe.image_size, self.tinted)
        return self.backbone.maps(crops, [self.images.ids[i] for i in rows], self.seed)


def store_key(
    images: ImageSet,
    affines: np.ndarray,
    backbone: Backbone,
    seed: int,
    tinted: bool = False,
    reduction: Aggregation | None = None,
) -> str:
    """The name of everything the maps depend on, 24 hex digits."""
    kind = ("|tinted" if tinted else "") + ("" if reduction is None else f"|{reduction.fingerprint}")
    digest = hashlib.sha256(f"{backbone.fingerprint}|{backbone.recipe.image_size}|{seed}{kind}|".encode())
    digest.update("|".join(images.ids).encode())
    digest.update(np.round(affines, 6).tobytes())
    return digest.hexdigest()[:24]


def iter_extract(
    images: ImageSet, regions: Regions, backbone: Backbone, *, seed: int = 0, batch: int = 16, context: float = 0.0
) -> Stage[FeatureMaps]:
    """Feature maps of the square crops around the regions, from the store where they are already there.

    context: how much wider than the region the crop is, see `crop_affines`.
    """
    return (yield from iter_extract_crops(images, crop_affines(regions, context), backbone, seed=seed, batch=batch))


def iter_extract_crops(
    images: ImageSet,
    affines: np.ndarray,
    backbone: Backbone,
    *,
    seed: int,
    batch: int,
    tinted: bool = False,
    reduction: Aggregation | None = None,
) -> Stage[FeatureMaps]:
    """Feature maps of given square crops: affines (N, 2, 3), crop units -> pixels, which may turn and mirror.

    tinted     the crops of augmented views get other colours, see `augmentation.tint`
    reduction  keeps fewer channels of each layer
    """
    folder = paths.cache_dir("features") / store_key(images, affines, backbone, seed, tinted, reduction)
    widths = {layer.name: _width(layer, reduction) for layer in backbone.layers}
    with processes.main_first():
        arrays = _open_arrays(folder, len(images), backbone, widths)
    todo = _rows_to_do(folder, len(images))
    processes.wait()  # nobody writes before all have read what is left to do
    mine = todo[processes.rank() :: processes.count()] if processes.count() > 1 else todo
    for start in range(0, len(mine), batch):
        yield progress("computing diffusion features", len(images) - len(mine) + start, len(images))
        rows = mine[start : start + batch]
        crops = read_crops(images, affines, rows.tolist(), backbone.recipe.image_size, tinted)
        maps = backbone.maps(crops, [images.ids[i] for i in rows], seed)
        for name, values in maps.items():
            kept = values if reduction is None else reduction.project(name, values)
            arrays[name][rows] = kept.cpu().numpy().astype(np.float16)
        _mark_rows(folder, arrays, rows)
    processes.wait()
    yield progress("computing diffusion features", len(images), len(images))
    if processes.is_main():
        os.utime(folder)
        _prune(keep=folder)
    return FeatureMaps(arrays, affines, folder.name)


def _width(layer: LayerSpec, reduction: Aggregation | None) -> int:
    return layer.channels if reduction is None else reduction.projections[layer.name].shape[1]


def read_crops(
    images: ImageSet, affines: np.ndarray, rows: Sequence[int] | range, size: int, tinted: bool = False
) -> torch.Tensor:
    """Crops of the pictures in `rows` as a torch tensor (B, 3, size, size) in -1...1."""
    import torch

    crops = [read_crop(images.paths[i], affines[i], size) for i in rows]
    if tinted:
        crops = [tint(crop, images.ids[i]) for crop, i in zip(crops, rows, strict=True)]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _open_arrays(folder: Path, count: int, backbone: Backbone, widths: dict[str, int]) -> dict[str, np.ndarray]:
    """The arrays on disk. Where a file is missing or was left half-made, a new one; no row is then done any more."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    for layer in backbone.layers:
        file = folder / f"{layer.name}.npy"
        try:
            np.lib.format.open_memmap(file, mode="r")  # fails for a file cut short, which "r+" would lengthen by zeros
            arrays[layer.name] = np.lib.format.open_memmap(file, mode="r+")
        except (OSError, ValueError):
            for marks in folder.glob("rows*.json"):
                marks.unlink(missing_ok=True)
            shape = (count, widths[layer.name], layer.size, layer.size)
            arrays[layer.name] = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)
    return arrays


def _rows_to_do(folder: Path, count: int) -> np.ndarray:
    """Rows that no process has marked as done, rising."""
    left = np.ones(count, bool)
    for file in folder.glob("rows*.json"):
        left[_marked(file, count)] = False
    return np.flatnonzero(left)


def _marked(file: Path, count: int) -> np.ndarray:
    """Rows done as one process has noted them: a list, or the number of rows from the first."""
    try:
        rows = json.loads(file.read_text())
        done = np.arange(rows) if isinstance(rows, int) else np.array(rows, np.int64)
    except (OSError, ValueError, TypeError):
        return np.zeros(0, np.int64)
    return done[(done >= 0) & (done < count)]


def _mark_rows(folder: Path, arrays: dict[str, np.ndarray], rows: np.ndarray) -> None:
    for array in arrays.values():
        if isinstance(array, np.memmap):
            array.flush()
    file = folder / ("rows.json" if processes.rank() == 0 else f"rows-{processes.rank()}.json")
    done = np.union1d(_marked(file, len(next(iter(arrays.values())))), rows)
    first = bool(len(done)) and int(done[-1]) == len(done) - 1  # all from the first one on: their number tells it
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(len(done) if first else done.tolist()))
    temporary.replace(file)


def _prune(keep: Path) -> None:
    folders = sorted(
        (f for f in keep.parent.iterdir() if f.is_dir() and f != keep), key=lambda f: f.stat().st_mtime, reverse=True
    )
    total = _size(keep)
    for folder in folders:
        total += _size(folder)
        if total > LIMIT_GB * 1e9:
            shutil.rmtree(folder, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
