"""What training from stored, reduced maps saves against running the diffusion model at every step, and what it changes.

python -m benchmarks.stored_maps --count 60 --steps 40 --channels 64
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from uld_explorer import open_images
from uld_explorer.data.regions import annotation_regions
from uld_explorer.events import drain
from uld_explorer.landmarks.d_uld import SelfTrainingSettings, iter_fit
from uld_explorer.landmarks.looking import iter_load_backbone
from uld_explorer.types import Landmarks


def fit(count: int, **changes: object) -> tuple[Landmarks, dict[str, float]]:
    """Landmarks of D-ULD on rendered heads, and the seconds spent on maps and on training."""
    images = open_images(f"demo:heads:{count}:0")
    settings = SelfTrainingSettings.from_json({"rounds": 1, "resume": False, "roi": "annotations", **changes})
    backbone = drain(iter_load_backbone(settings))
    spent, before, stage = {"maps": 0.0, "training": 0.0}, time.perf_counter(), ""
    events = iter_fit(images, annotation_regions(images, settings.roi_margin), settings, backbone)
    while True:
        try:
            event = next(events)
        except StopIteration as stop:
            return stop.value[1].landmarks, spent
        now = time.perf_counter()
        part = {"computing diffusion features": "maps", "training, round 1": "training"}.get(stage)
        if part:
            spent[part] += now - before
        before, stage = now, event.stage


def main() -> None:
    """Print seconds, their ratio, and how far the landmarks of the two lie apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="pictures (default: 60)")
    parser.add_argument("--steps", type=int, default=40, help="training steps (default: 40)")
    parser.add_argument("--channels", type=int, default=64, help="principal components kept (default: 64)")
    args = parser.parse_args()
    common = {"round_steps": args.steps, "channels": args.channels}
    stored, fast = fit(args.count, **common)
    exact, slow = fit(args.count, **common, exact=True)
    both = stored.present & exact.present
    apart = np.linalg.norm(stored.xy - exact.xy, axis=-1)[both]
    print(f"maps for the store: {fast['maps']:.1f} s, once; a step: {fast['training'] / args.steps:.3f} s")
    print(f"exact: a step: {slow['training'] / args.steps:.3f} s, {slow['training'] / fast['training']:.1f} times")
    print(f"landmarks found by both: {both.mean():.1%}; apart in pixels of 128: median {np.median(apart):.2f}")


if __name__ == "__main__":
    main()
