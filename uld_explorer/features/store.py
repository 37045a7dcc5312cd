"""The feature store: the frozen backbone sees each picture once, whatever is done with the maps afterwards.

Maps are kept at their native resolution as float16, memory-mapped, in a folder named by what they depend on
(backbone, noise seed, pictures, crops). A killed extraction goes on where it stopped. Knows nothing of landmarks.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uld_explorer import paths
from uld_explorer.data.augmentation import tint
from uld_explorer.data.regions import crop_affines, read_crop
from uld_explorer.events import Stage, progress
from uld_explorer.features.backbone import Backbone
from uld_explorer.types import ImageSet, Regions

if TYPE_CHECKING:
    import torch

LIMIT_GB = float(os.environ.get("ULD_CACHE_GB", "8"))
"""The store is pruned, oldest first, when it outgrows this."""


@dataclass(frozen=True)
class FeatureMaps:
    """Maps of N pictures, on disk.

    layers   name -> (N, C, h, w) float16
    affines  (N, 2, 3): crop units -> pixels of the original picture
    """

    layers: dict[str, np.ndarray]
    affines: np.ndarray

    def __len__(self) -> int:
        return len(self.affines)


def store_key(images: ImageSet, affines: np.ndarray, backbone: Backbone, seed: int, tinted: bool = False) -> str:
    """The name of everything the maps depend on, 24 hex digits."""
    kind = "|tinted" if tinted else ""
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
    images: ImageSet, affines: np.ndarray, backbone: Backbone, *, seed: int, batch: int, tinted: bool = False
) -> Stage[FeatureMaps]:
    """Feature maps of given square crops: affines (N, 2, 3), crop units -> pixels, which may turn and mirror.

    tinted: the crops of augmented views get other colours, see `augmentation.tint`.
    """
    folder = paths.cache_dir("features") / store_key(images, affines, backbone, seed, tinted)
    arrays = _open_arrays(folder, len(images), backbone)
    done = _rows_done(folder)
    for start in range(done, len(images), batch):
        yield progress("computing diffusion features", start, len(images))
        rows = range(start, min(start + batch, len(images)))
        crops = read_crops(images, affines, rows, backbone.recipe.image_size, tinted)
        maps = backbone.maps(crops, [images.ids[i] for i in rows], seed)
        for name, values in maps.items():
            arrays[name][rows.start : rows.stop] = values.cpu().numpy().astype(np.float16)
        _mark_rows(folder, arrays, rows.stop)
    yield progress("computing diffusion features", len(images), len(images))
    os.utime(folder)
    _prune(keep=folder)
    return FeatureMaps(arrays, affines)


def read_crops(
    images: ImageSet, affines: np.ndarray, rows: Sequence[int] | range, size: int, tinted: bool = False
) -> torch.Tensor:
    """Crops of the pictures in `rows` as a torch tensor (B, 3, size, size) in -1...1."""
    import torch

    crops = [read_crop(images.paths[i], affines[i], size) for i in rows]
    if tinted:
        crops = [tint(crop, images.ids[i]) for crop, i in zip(crops, rows, strict=True)]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _open_arrays(folder: Path, count: int, backbone: Backbone) -> dict[str, np.ndarray]:
    """The arrays on disk. Where a file is missing or was left half-made, a new one; no row is then done any more."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    for layer in backbone.layers:
        file = folder / f"{layer.name}.npy"
        try:
            np.lib.format.open_memmap(file, mode="r")  # fails for a file cut short, which "r+" would lengthen by zeros
            arrays[layer.name] = np.lib.format.open_memmap(file, mode="r+")
        except (OSError, ValueError):
            (folder / "rows.json").unlink(missing_ok=True)
            shape = (count, layer.channels, layer.size, layer.size)
            arrays[layer.name] = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)
    return arrays


def _rows_done(folder: Path) -> int:
    try:
        return int(json.loads((folder / "rows.json").read_text()))
    except (OSError, ValueError):
        return 0


def _mark_rows(folder: Path, arrays: dict[str, np.ndarray], rows: int) -> None:
    for array in arrays.values():
        if isinstance(array, np.memmap):
            array.flush()
    temporary = folder / f"rows.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(rows))
    temporary.replace(folder / "rows.json")


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
