"""Named sets of settings: how long and how finely to train."""

from __future__ import annotations

import dataclasses
from typing import Any

from uld_explorer.settings import RunSettings
from uld_explorer.types import UserError

_STANDARD = {
    "map_size": 64,
    "views": 8,
    "rounds": 5,
    "round_steps": 1000,
    "proxy_steps": 1000,
    "width": 256,
    "descriptor": 256,
}
_PAPER = {
    "map_size": 64,
    "views": 16,
    "start": "bootstrap",
    "bootstrap_steps": 50_000,
    "rounds": 20,
    "round_steps": 5_000,
    "settled": 0.0,
    "rate": 1e-4,
    "train_batch": 12,
    "margin": 0.8,
    "same_image": False,
    "iterations": 100,
    "restarts": 10,
    "width": 384,
    "descriptor": 256,
    "pose_clusters": 10,
    "candidates": 1,
    "proxy_steps": 50_000,
    "proxy_rate": 5e-5,
    "latent": 64,
}
PRESETS: dict[str, dict[str, Any]] = {"quick": {}, "standard": _STANDARD, "paper": _PAPER}
"""quick: the defaults, minutes on two CPU cores. standard: finer and many times longer; made for
a GPU, where the network then trains too. paper: the schedule of the paper."""
_POSES = {"paper": {"rate": 5e-4}}
"""What D-ULD++ has otherwise."""


def preset_values(name: str, settings: type[RunSettings]) -> dict[str, Any]:
    """The preset's values for the fields that these settings have; none where nothing is trained.

    Raises:
        UserError: there is no such preset.
    """
    if name not in PRESETS:
        raise UserError(f"There is no preset '{name}': use {', '.join(PRESETS)}.")
    fields = {field.name for field in dataclasses.fields(settings)}
    values = PRESETS[name] | (_POSES.get(name, {}) if "pose_clusters" in fields else {})
    trained = "round_steps" in fields
    return {key: value for key, value in values.items() if trained and key in fields}
