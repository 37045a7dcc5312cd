"""The maps of a run: keypoints by how they look, pictures by their pose, now and after every round of training.

Maps are made of what was found, before any edit, and kept with the run. Those of earlier rounds begin from the next
later one and are laid on it, so that a point stays where it is unless training moved it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from uld_explorer.analysis.projection import align, pca_map, umap_map
from uld_explorer.events import Stage, progress
from uld_explorer.runs import Run
from uld_explorer.types import UserError

MAP_POINTS = 8000
"""Keypoints on the map of a run, at most; a seeded sample of more."""
FEWEST = 15
"""Below this many points a map is made by PCA."""
STAGE = "drawing the maps (UMAP)"
NEIGHBOURS, DISTANCE = 15, 0.1
MOST_CHOICES = 8
"""Maps made in other ways that a run keeps."""


@dataclass(frozen=True)
class MapChoice:
    """How a map is made: method umap or pca; neighbours 2...200 and distance 0...1 of UMAP."""

    method: str = "umap"
    neighbours: int = NEIGHBOURS
    distance: float = DISTANCE

    def __post_init__(self) -> None:
        known = self.method in ("umap", "pca")
        if not known or not 2 <= self.neighbours <= 200 or not 0 <= self.distance <= 1:
            raise UserError("Choose UMAP or PCA, 2 to 200 neighbours, and a distance between 0 and 1.")

    def place(self, x: np.ndarray, seed: int, start: np.ndarray | None = None) -> np.ndarray:
        """(M, 2) positions of the rows of x (M, D)."""
        if self.method == "pca" or len(x) <= FEWEST:
            return pca_map(x)
        return umap_map(x, seed, self.neighbours, self.distance, start)


@dataclass(frozen=True)
class Placed:
    """One map: positions xy (P, 2) of the keypoints or pictures in `rows` (P,)."""

    rows: np.ndarray
    xy: np.ndarray


def iter_draw_maps(run: Run, seed: int) -> Stage[None]:
    """All maps of a run that has found its landmarks, into its folder."""
    points, poses = run.keypoints(), run.poses()
    if points is None:
        return
    later = [name for name, _ in _earlier_rounds(run)]
    total = 1 + (poses is not None) + len(later)
    rows = np.sort(np.random.default_rng(seed).permutation(len(points.label))[:MAP_POINTS])
    drawn = {"map": (rows, points.descriptor[rows])}
    if poses is not None:
        drawn["pose_map"] = (np.arange(len(poses.codes)), poses.codes)
    for name, (each, x) in drawn.items():  # PCA at once, so that there is something to look at
        run.save_arrays(name, {"rows": each, "xy": pca_map(x)})
    for step, (name, (each, x)) in enumerate(drawn.items()):
        yield progress(STAGE, step, total)
        run.save_arrays(name, {"rows": each, "xy": MapChoice().place(x, seed)})
    yield from _iter_round_maps(run, seed, total)
    yield progress(STAGE, total, total)


def _earlier_rounds(run: Run) -> list[tuple[int, dict[str, np.ndarray]]]:
    """(round, snapshot) of all rounds but the last, which is the run's answer, the latest first."""
    numbers = run.snapshots()
    found = ((number, run.load_arrays(f"snapshot_{number}")) for number in reversed(numbers[:-1]))
    return [(number, arrays) for number, arrays in found if arrays is not None]


def _iter_round_maps(run: Run, seed: int, total: int) -> Stage[None]:
    points, poses = placed(run, "keypoints"), placed(run, "poses")
    arrays: dict[str, np.ndarray] = {}
    earlier = _earlier_rounds(run)
    for step, (number, snapshot) in enumerate(earlier):
        yield progress(STAGE, total - len(earlier) + step, total)
        if points is not None and (x := _descriptors(run, snapshot, points.rows)) is not None:
            points = _moved(points, *x, seed)
            arrays |= {f"keypoints_{number}": points.xy, f"keypoints_{number}_rows": points.rows}
        if poses is not None and "codes" in snapshot:
            poses = _moved(poses, snapshot["rows"], snapshot["codes"].astype(np.float32), seed)
            arrays |= {f"poses_{number}": poses.xy, f"poses_{number}_rows": poses.rows}
    if arrays:
        run.save_arrays("round_maps", arrays | {"last": np.array(run.snapshots()[-1:])})
    run.drop_snapshots()  # they have done what they were kept for, and are large


def _moved(later: Placed, rows: np.ndarray, x: np.ndarray, seed: int) -> Placed:
    """The map of x (P, D) for `rows` of the later map, begun from it and laid on it."""
    at = np.searchsorted(later.rows, rows)
    start = later.xy[at]
    return Placed(rows, align(MapChoice().place(x, seed, start), start))


def _descriptors(run: Run, snapshot: dict[str, np.ndarray], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Of the keypoints in `rows` those whose picture the snapshot has, and their descriptors then."""
    points, chosen = run.keypoints(), _chosen(run)
    if points is None:
        return None
    place = {int(row): i for i, row in enumerate(snapshot["rows"])}
    kept = np.array([row for row in rows if int(points.image[row]) in place], np.int64)
    label = points.label[kept]
    column = label if chosen is None else chosen[label]
    if not len(kept) or column.max() >= snapshot["descriptor"].shape[1]:
        return None
    index = np.array([place[int(i)] for i in points.image[kept]])
    return kept, snapshot["descriptor"][index, column].astype(np.float32)


def _chosen(run: Run) -> np.ndarray | None:
    """Which of the trained candidates are the run's landmarks; None where each one is."""
    from safetensors import safe_open

    with safe_open(run.folder / "model" / "model.safetensors", framework="numpy") as file:
        return file.get_tensor("model.chosen") if "model.by_pose" in file.keys() else None  # noqa: SIM118


def placed(run: Run, what: str, number: int | None = None, choice: MapChoice | None = None) -> Placed | None:
    """The map of "keypoints" or "poses", after round `number` (None: the last), or as chosen; None: there is none."""
    name = {"keypoints": "map", "poses": "pose_map"}[what]
    if number is not None and (arrays := run.load_arrays("round_maps")) is not None and f"{what}_{number}" in arrays:
        return Placed(arrays[f"{what}_{number}_rows"], arrays[f"{what}_{number}"])
    arrays = run.load_arrays(name if choice in (None, MapChoice()) else f"{name}_{_digest(choice)}")
    return None if arrays is None else Placed(arrays["rows"], arrays["xy"])


def rounds_of(run: Run) -> list[int]:
    """The rounds that have maps, the last one included; empty where there is nothing to compare."""
    arrays = run.load_arrays("round_maps")
    if arrays is None:
        return []
    found = {name.removeprefix("keypoints_") for name in arrays if name.startswith("keypoints_")}
    return [*sorted(int(name) for name in found if name.isdecimal()), int(arrays["last"][0])]


def draw_map(run: Run, what: str, choice: MapChoice, seed: int = 0) -> Placed:
    """Another map of the same points, kept with the run.

    Raises:
        UserError: the run has none.
    """
    before = placed(run, what)
    if before is None:
        raise UserError("The map appears when a run has finished.")
    if (known := placed(run, what, None, choice)) is not None:
        return known
    points, poses = run.keypoints(), run.poses()
    x: Any = points.descriptor if what == "keypoints" and points else poses.codes if poses else None
    xy = choice.place(x[before.rows], seed)
    name = {"keypoints": "map", "poses": "pose_map"}[what]
    run.save_arrays(f"{name}_{_digest(choice)}", {"rows": before.rows, "xy": xy})
    made = sorted(run.folder.glob(f"results/{name}_????????.safetensors"), key=lambda file: file.stat().st_mtime)
    for old in made[:-MOST_CHOICES]:
        old.unlink(missing_ok=True)
    return Placed(before.rows, xy)


def _digest(choice: MapChoice | None) -> str:
    return hashlib.sha256(repr(choice).encode()).hexdigest()[:8]
