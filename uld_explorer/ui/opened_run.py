"""A run as the page sees it: everything that is read from its folder, once for every state of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from uld_explorer.analysis.passports import Passport, passports
from uld_explorer.analysis.poses import PoseProfile, pose_profiles
from uld_explorer.analysis.report_file import load_report
from uld_explorer.editing import edited
from uld_explorer.landmarks.edits import Edited
from uld_explorer.runs import Run
from uld_explorer.types import Annotations, ImageSet, Keypoints, Landmarks, PoseCodes, Regions, Report

FILES = ("results/landmarks.safetensors", "results/map.safetensors", "results/pose_map.safetensors", "edits.json")
LATER = ("results/round_maps.safetensors", "results/keypoints.safetensors", "results/report.json", "model/model.json")


@dataclass(frozen=True)
class OpenedRun:
    """Pictures and landmarks of a run that has found some, with the rest read when it is asked for."""

    run: Run
    stamp: str
    images: ImageSet
    edited: Edited

    @property
    def landmarks(self) -> Landmarks:
        """As a person left them."""
        return self.edited.found.landmarks

    @property
    def poses(self) -> PoseCodes | None:
        """Pose codes and clusters, where the method knows of any."""
        return self.edited.found.poses

    @cached_property
    def regions(self) -> Regions | None:
        """Where it was looked."""
        return self.run.regions()

    @cached_property
    def keypoints(self) -> Keypoints | None:
        """The described points before any edit, which the maps show."""
        return self.run.keypoints()

    @cached_property
    def annotations(self) -> Annotations | None:
        """What was annotated."""
        return self.run.annotations()

    @cached_property
    def report(self) -> Report | None:
        """The figures, once they are measured."""
        path = self.run.folder / "results" / "report.json"
        return load_report(path) if path.exists() else None

    @cached_property
    def passports(self) -> list[Passport]:
        """One for every landmark."""
        return passports(self.edited.found, self._by_key("consistency_by_landmark"), self._partners)

    @cached_property
    def profiles(self) -> list[PoseProfile]:
        """One for every pose cluster."""
        yaw = None if self.annotations is None else self.annotations.yaw
        return [] if self.regions is None else pose_profiles(self.edited.found, self.regions, yaw)

    def _by_key(self, table: str) -> np.ndarray:
        """A figure of the report for each landmark that is still the one that was measured; NaN for others."""
        values = [] if self.report is None else self.report.tables.get(table, [])
        changed = {e["landmark"] for e in self.run.edits()["edits"] if e["kind"] in ("merge", "split", "swap")}
        keys = self.edited.keys
        return np.array([values[k] if k < len(values) and k not in changed else np.nan for k in keys], float)

    @cached_property
    def _partners(self) -> np.ndarray | None:
        """(K,) the landmark that each one becomes in a mirrored picture, by the learned symmetry; -1 unknown."""
        mirror = learned_symmetry(self.run)
        if mirror is None:
            return None
        number = {key: i for i, key in enumerate(self.edited.keys)}
        return np.array([number.get(int(mirror[k]), -1) if k < len(mirror) else -1 for k in self.edited.keys])


def learned_symmetry(run: Run) -> np.ndarray | None:
    """(K,) of the landmarks as they were found; None where the method has not learned any."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors: dict[str, np.ndarray] = load_file(run.folder / "model" / "model.safetensors")
    except (OSError, SafetensorError):
        return None  # none yet, or damaged: the passport says that the partner is not known
    mirror, chosen = tensors.get("model.mirror"), tensors.get("model.chosen")
    if mirror is None or chosen is None:
        return mirror
    number = {int(candidate): k for k, candidate in enumerate(chosen)}
    return np.array([number.get(int(mirror[candidate]), -1) for candidate in chosen])


def stamp_of(run: Run) -> str:
    """Changes when the results change."""
    files = [run.folder / name for name in (*FILES, *LATER)]
    return "|".join(str(file.stat().st_mtime_ns) if file.exists() else "" for file in files)


def open_run_data(run: Run) -> OpenedRun | None:
    """The run; None before it has found landmarks."""
    return _opened(str(run.folder), stamp_of(run))


@lru_cache(maxsize=16)
def _opened(folder: str, stamp: str) -> OpenedRun | None:
    run = Run(Path(folder))
    now, images = edited(run), run.pictures()
    return None if now is None or images is None else OpenedRun(run, stamp, images, now)


def facts_of(run: Run) -> dict[str, Any]:
    """run.json and settings.json together."""
    return run.info() | {"settings": run.settings()}
