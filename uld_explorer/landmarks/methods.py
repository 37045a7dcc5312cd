"""The table of methods: one entry per file of the paper's ideas. Settings, flags, page controls and tests follow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uld_explorer.landmarks import d_uld, zero_shot
from uld_explorer.settings import RunSettings
from uld_explorer.types import UserError


@dataclass(frozen=True)
class Method:
    """A way to discover landmarks.

    iter_fit(images, regions, settings, backbone) returns (model, Landmarks, Keypoints);
    iter_predict(images, regions, settings, backbone, model) returns (Landmarks, Keypoints);
    model: what it learned, with `to_tensors()` and `from_tensors()`.
    """

    name: str
    title: str
    help: str
    settings: type[RunSettings]
    iter_fit: Callable[..., Any]
    iter_predict: Callable[..., Any]
    model: type[Any]


METHODS = {
    "zeroshot": Method(
        "zeroshot",
        "ZeroShot",
        "clusters the features of a frozen diffusion model: no training, seconds to minutes",
        zero_shot.ZeroShotSettings,
        zero_shot.iter_fit,
        zero_shot.iter_predict,
        zero_shot.Codebook,
    ),
    "duld": Method(
        "duld",
        "D-ULD",
        "trains a detector and descriptors on the clusters, round by round: minutes",
        d_uld.SelfTrainingSettings,
        d_uld.iter_fit,
        d_uld.iter_predict,
        d_uld.SelfTrained,
    ),
}


def get_method(name: str) -> Method:
    """The method called `name`.

    Raises:
        UserError: there is none.
    """
    if name not in METHODS:
        raise UserError(f"There is no method '{name}': use {', '.join(METHODS)}.")
    return METHODS[name]
