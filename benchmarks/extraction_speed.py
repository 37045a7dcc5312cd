"""What do the early stop and the feature store save?

    python -m benchmarks.extraction_speed

Times, in one process and in turns: features with the U-Net stopped after the last needed up-block against a whole
forward pass; and a second discovery with another K, whose maps come from the store, against the first.
"""

from __future__ import annotations

import statistics
import time

import torch

from uld_explorer import workflow
from uld_explorer.data.regions import whole_regions
from uld_explorer.events import drain
from uld_explorer.features.store import iter_extract, read_crops
from uld_explorer.landmarks.looking import iter_load_backbone
from uld_explorer.landmarks.zero_shot import ZeroShotSettings

ROUNDS = 7


def main() -> None:
    """Print two ratios."""
    images = workflow.open_images("demo:heads:64:4")
    backbone = drain(iter_load_backbone(ZeroShotSettings()))
    regions = whole_regions(images)
    started = time.perf_counter()
    maps = drain(iter_extract(images, regions, backbone, seed=time.time_ns() % 10**6))
    first = time.perf_counter() - started
    started = time.perf_counter()
    drain(iter_extract(images, regions, backbone))
    computed = time.perf_counter() - started
    started = time.perf_counter()
    drain(iter_extract(images, regions, backbone))
    stored = time.perf_counter() - started
    ratio = max(first, computed) / stored
    print(f"64 pictures: computed {first:.2f} s, again from the store {stored:.3f} s, ratio {ratio:.0f}")
    crops = read_crops(images, maps.affines, range(16), backbone.recipe.image_size)
    stopped, whole = [], []
    for _ in range(ROUNDS):
        stopped.append(_seconds(lambda: backbone.maps(crops, images.ids[:16])))
        whole.append(_seconds(lambda: _whole_pass(backbone, crops)))
    print(f"16 pictures: early stop {statistics.median(stopped):.3f} s, whole pass {statistics.median(whole):.3f} s")
    print(f"ratio {statistics.median(b / a for a, b in zip(stopped, whole, strict=True)):.2f}")


def _seconds(work) -> float:  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _whole_pass(backbone, crops: torch.Tensor) -> None:  # type: ignore[no-untyped-def]
    with torch.inference_mode():
        for t in backbone.recipe.timesteps:
            backbone._forward(backbone._encode(crops.to(backbone.device)).to(backbone.dtype), t)


if __name__ == "__main__":
    main()
