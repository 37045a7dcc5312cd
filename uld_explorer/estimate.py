"""What a run will cost before it is started: seconds, memory and disk, from a short probe on some of its pictures.

The probe times what a run does most: pictures through the diffusion model, K-means, and steps of the network. The rest
is multiplication, so the answer is good to a factor of two or three.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uld_explorer.data.regions import crop_affines, whole_regions
from uld_explorer.events import Stage, progress
from uld_explorer.features.backbone import Backbone
from uld_explorer.features.store import read_crops
from uld_explorer.landmarks.clustering import kmeans
from uld_explorer.landmarks.d_uld import TrainingSettings
from uld_explorer.landmarks.d_uldpp import MOST, PROXY_COST, PoseSettings
from uld_explorer.landmarks.looking import iter_load_backbone
from uld_explorer.landmarks.zero_shot import ZeroShotSettings
from uld_explorer.settings import RunSettings
from uld_explorer.types import ImageSet

if TYPE_CHECKING:
    import torch

PROBE = 8
"""Pictures that are looked at."""
PROBE_STEPS = 2
STAGE = "estimating"
MEASURED = 100
"""Pictures of the consistency figure, which are looked at once more."""
MAP_SECONDS = 0.003
"""Of UMAP for one point of a map, on one core."""
TRAINED_DISK, PLAIN_DISK = 30e6, 1e6
"""Bytes of a run's results and model, with training and without."""
PASSES = 8
"""Times that labelling after a round looks at every picture."""


@dataclass(frozen=True)
class Estimate:
    """seconds of each part by its name; peak memory and disk in bytes."""

    parts: dict[str, float]
    memory: float
    disk: float

    @property
    def seconds(self) -> float:
        """All parts."""
        return sum(self.parts.values())


def iter_estimate(images: ImageSet, settings: RunSettings, backbone: Backbone | None = None) -> Stage[Estimate]:
    """Probe a few of the pictures.

    Raises:
        UserError: the backbone cannot be had.
    """
    assert isinstance(settings, ZeroShotSettings)
    backbone = backbone or (yield from iter_load_backbone(settings))
    yield progress(STAGE, 1, 4)
    maps, per_picture = _probe_pictures(images, settings, backbone)
    count, training = len(images), isinstance(settings, TrainingSettings)
    views = settings.views if isinstance(settings, TrainingSettings) else 0
    yield progress(STAGE, 2, 4)
    parts = {
        "diffusion features": per_picture * (count * (1 + views) + min(count, MEASURED)),
        "clustering": _clustering_seconds(count, settings),
    }
    if isinstance(settings, TrainingSettings):
        yield progress(STAGE, 3, 4)
        parts["training"] = _training_seconds(maps, count, settings)
    maps_drawn = 2 + (settings.rounds if isinstance(settings, TrainingSettings) else 0)
    parts["maps and figures"] = MAP_SECONDS * min(count * settings.landmarks, 8000) * maps_drawn
    yield progress(STAGE, 4, 4)
    picture = sum(2 * values[0].numel() for values in maps.values())
    disk = picture * count * (1 + views) + (TRAINED_DISK if training else PLAIN_DISK)
    return Estimate(parts, _peak_memory() + picture * settings.batch * 4, disk)


def _probe_pictures(
    images: ImageSet, settings: RunSettings, backbone: Backbone
) -> tuple[dict[str, torch.Tensor], float]:
    """Maps of some pictures, and the seconds that one picture takes; the first call, which warms up, does not count."""
    rows = np.unique(np.linspace(0, len(images) - 1, min(PROBE, len(images))).astype(int))
    affines = crop_affines(whole_regions(images))
    started = time.perf_counter()
    crops = read_crops(images, affines, rows.tolist(), backbone.recipe.image_size)
    reading = time.perf_counter() - started
    ids = [images.ids[i] for i in rows]
    backbone.maps(crops[:1], ids[:1], settings.seed)
    seconds = _seconds(lambda: backbone.maps(crops, ids, settings.seed))
    return backbone.maps(crops, ids, settings.seed), (seconds + reading) / len(rows)


def _clustering_seconds(count: int, settings: ZeroShotSettings) -> float:
    """K-means of random descriptors, a few iterations of a part of them, scaled up."""
    total = count * (settings.pixels or settings.map_size**2)
    many = settings.landmarks * settings.oversegment
    if isinstance(settings, PoseSettings):
        many = min(settings.landmarks * settings.candidates, MOST)
    part = min(total, 20_000)
    x = np.random.default_rng(0).standard_normal((max(part, 4 * many), settings.components)).astype(np.float32)
    seconds = _seconds(lambda: kmeans(x, many, seed=0, iterations=3, restarts=1))
    return seconds / 3 * settings.iterations * settings.restarts * max(1.0, total / len(x))


def _training_seconds(maps: dict[str, torch.Tensor], count: int, settings: TrainingSettings) -> float:
    """Steps of the network on the probe's maps, and its passes over all pictures after each round."""
    import torch

    from uld_explorer.landmarks.network import LandmarkNetwork, NetworkShape

    kept = {name: values[:, : settings.channels] for name, values in maps.items()}
    layers = {name: values.shape[1] for name, values in kept.items()}
    shape = NetworkShape(layers, settings.map_size, settings.width, settings.width, settings.descriptor)
    network = LandmarkNetwork(shape).to(next(iter(maps.values())).device)
    # Two views of every picture of a batch go through the network when poses are learned or keypoints bootstrapped.
    batch = settings.train_batch * (2 if isinstance(settings, PoseSettings) else 1)
    rows = torch.arange(batch) % len(next(iter(kept.values())))
    fed = {name: values[rows.to(values.device)] for name, values in kept.items()}

    def step() -> None:
        logits, volume = network(fed)
        (logits.square().mean() + volume[:, :, ::2].abs().mean()).backward()

    step()
    a_step = min(_seconds(step) for _ in range(PROBE_STEPS))
    with torch.no_grad():
        a_pass = _seconds(lambda: network(fed)) / batch
    steps = settings.rounds * settings.round_steps
    steps += settings.bootstrap_steps if settings.start == "bootstrap" else 0
    proxy = settings.rounds * settings.proxy_steps if isinstance(settings, PoseSettings) else 0
    losses = 1.6 if isinstance(settings, PoseSettings) else 1.3  # heat maps, contrasts and places beside the network
    return steps * a_step * losses + proxy * a_step * PROXY_COST + settings.rounds * PASSES * count * a_pass


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peak_memory() -> float:
    """Bytes of this process at its peak."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)
