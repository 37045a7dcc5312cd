"""The table of methods: one entry per file of the paper's ideas. Settings, flags, page controls and tests follow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uld_explorer.landmarks import d_uld, d_uldpp, zero_shot
from uld_explorer.settings import RunSettings
from uld_explorer.types import UserError


@dataclass(frozen=True)
class Method:
    """A way to discover landmarks.

    iter_fit(images, regions, settings, backbone) returns (model, Found);
    iter_predict(images, regions, settings, backbone, model) returns Found;
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
    "duldpp": Method(
        "duldpp",
        "D-ULD++",
        "also learns poses, clusters pose by pose, and knows where hidden landmarks are: minutes",
        d_uldpp.PoseSettings,
        d_uldpp.iter_fit,
        d_uldpp.iter_predict,
        d_uldpp.PoseTrained,
    ),
    "duld-pp": Method(
        "duld-pp",
        "D-ULD + PP",
        "D-ULD++ without two-stage clustering, with the pose proxy's decoder throughout (ablation)",
        d_uldpp.ProxySettings,
        d_uldpp.iter_fit,
        d_uldpp.iter_predict,
        d_uldpp.PoseTrained,
    ),
    "duld-tsc": Method(
        "duld-tsc",
        "D-ULD + TSC",
        "D-ULD++ with the pose proxy's decoder throughout, instead of Eq. 3 (ablation)",
        d_uldpp.FullProxySettings,
        d_uldpp.iter_fit,
        d_uldpp.iter_predict,
        d_uldpp.PoseTrained,
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
