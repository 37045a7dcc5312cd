"""D-ULD (paper 3.2): a detector and descriptors trained on their own clusters, over a frozen diffusion model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uld_explorer.events import Stage, note
from uld_explorer.features.backbone import Backbone
from uld_explorer.landmarks import zero_shot
from uld_explorer.landmarks.kept_network import KeptNetwork
from uld_explorer.landmarks.zero_shot import ZeroShotSettings
from uld_explorer.settings import setting
from uld_explorer.types import Found, ImageSet, Regions


@dataclass(frozen=True)
class TrainingSettings(ZeroShotSettings):
    """ZeroShot's settings, which the first labels come from, and those of training."""

    start: str = setting(
        "zeroshot",
        "where the first labels come from: clusters of the frozen features, or of bootstrapped keypoints (paper)",
        choices=("zeroshot", "bootstrap"),
    )
    bootstrap_steps: int = setting(400, "steps of bootstrapping, where the start is that", low=1, high=1_000_000)
    keypoints: int = setting(24, "keypoints taken from each heat map, before they are clustered", low=2, high=512)
    window: int = setting(1, "cells around a keypoint in which it must be the highest", low=1, high=16)
    views: int = setting(4, "views of every picture that training sees, one of them untouched", low=3, high=64)
    rotation: float = setting(30.0, "largest turn of a view, in degrees", low=0.0, high=180.0)
    scaling: float = setting(0.15, "largest change of size of a view, as a share", low=0.0, high=0.9)
    shift: float = setting(0.08, "largest shift of a view, as a share of the crop", low=0.0, high=0.5)
    rounds: int = setting(2, "rounds of labelling and training", low=1, high=1000)
    round_steps: int = setting(250, "training steps in a round", low=1, high=1_000_000)
    settled: float = setting(0.03, "training ends when a smaller share of labels changes in a round", low=0.0, high=1.0)
    rate: float = setting(1e-3, "learning rate", low=1e-7, high=1.0)
    train_batch: int = setting(16, "pictures in a training step", low=2, high=512)
    threshold: float = setting(0.1, "height of a heat map's peak from which it is a keypoint", low=0.0, high=1.0)
    sigma: float = setting(1.0, "width of a label in the heat map, in cells", low=0.1, high=16.0)
    margin: float = setting(
        0.8, "distance that descriptors of different landmarks are pushed to (Eq. 4)", low=0.0, high=2.0
    )
    contrast: float = setting(5.0, "weight of the descriptors' loss beside the heat map's", low=0.0, high=1000.0)
    same_image: bool = setting(True, "descriptors are pushed apart inside a picture only, not as in the paper anywhere")
    resume: bool = setting(True, "go on from the checkpoint that the same settings and pictures left", result=False)
    width: int = setting(96, "channels of the aggregation network", low=8, high=1024)
    channels: int = setting(
        192, "principal components kept of a layer that is wider, in what training reads", low=4, high=4096
    )
    exact: bool = setting(False, "run the diffusion model anew at every step, instead of reading stored, reduced maps")
    descriptor: int = setting(64, "length of a learned descriptor", low=4, high=1024)


@dataclass(frozen=True)
class SelfTrainingSettings(TrainingSettings):
    """D-ULD has no settings but those of training."""


@dataclass(frozen=True)
class SelfTrained:
    """What self-training learned.

    network    with its weights
    centroids  (K, D) unit float32
    mirror     (K,) int64, the landmark that each one becomes in a mirrored picture; -1 unknown
    """

    network: KeptNetwork
    centroids: np.ndarray
    mirror: np.ndarray

    def to_tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a safetensors file."""
        return self.network.to_tensors() | {"centroids": self.centroids, "mirror": self.mirror}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> SelfTrained:
        """The inverse of `to_tensors`."""
        return cls(KeptNetwork.from_tensors(tensors), tensors["centroids"], tensors["mirror"])


def iter_fit(
    images: ImageSet, regions: Regions, settings: SelfTrainingSettings, backbone: Backbone
) -> Stage[tuple[SelfTrained, Found]]:
    """Discover landmarks by rounds of labelling and training. A killed fit goes on where it stopped.

    Raises:
        UserError: too few pixels or keypoints for K clusters.
    """
    from uld_explorer.landmarks import label_rounds
    from uld_explorer.landmarks.checkpoints import checkpoint
    from uld_explorer.landmarks.label_rounds import found_in
    from uld_explorer.landmarks.view_maps import iter_view_maps

    first = None
    if settings.start == "zeroshot":
        _, found = yield from zero_shot.iter_fit(images, regions, settings, backbone)
        first = found.landmarks
    data = yield from iter_view_maps(images, regions, settings, backbone)
    with checkpoint(data, settings) as folder:
        state = label_rounds.new_state(folder, data, settings)
        if state.done or state.step:
            yield note("training", "Going on from the last checkpoint")
        labels = yield from label_rounds.iter_rounds(state, data, settings, first)
        return label_rounds.to_model(state, data), found_in(labels, data)


def iter_predict(
    images: ImageSet, regions: Regions, settings: SelfTrainingSettings, backbone: Backbone, model: SelfTrained
) -> Stage[Found]:
    """Find the model's landmarks on other pictures: heat map, keypoints, nearest centroid, one exemplar each."""
    from uld_explorer.landmarks import label_rounds
    from uld_explorer.landmarks.view_maps import iter_plain_maps

    data = yield from iter_plain_maps(images, regions, settings, backbone, model.network.reduction)
    return label_rounds.found_in(label_rounds.locate(model, data, settings), data)
