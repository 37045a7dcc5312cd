"""The two linked maps as data: what they show, in which colours, and what a selection on one means for the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from uld_explorer import mapping
from uld_explorer.analysis.colouring import Colouring, by_folder, by_number, by_value
from uld_explorer.mapping import MapChoice, Placed
from uld_explorer.runs import Run
from uld_explorer.types import Landmarks
from uld_explorer.ui import patches, scatter
from uld_explorer.ui.opened_run import OpenedRun, open_run_data
from uld_explorer.ui.selection import Selection

COLOURS = {
    "landmark": "landmark",
    "pose": "pose cluster",
    "score": "score",
    "yaw": "annotated yaw",
    "folder": "class (folder)",
    "seen": "landmarks seen",
}
OF_MAP = {"keypoints": ("landmark", "pose", "score", "yaw", "folder"), "poses": ("pose", "yaw", "folder", "seen")}
WORDS = {"keypoints": "keypoints", "poses": "pictures"}
COLUMNS = 64
MOST_TILES = 4096
"""Points whose pictures are sent on one sheet; of more, each is asked for when it is pointed at."""


@dataclass(frozen=True)
class Linked:
    """A selection and what it means: pictures (N,) bool; keypoints and poses (P,) bool for the points of each map.

    The last two are None where nothing is selected, so that nothing is dimmed.
    """

    pictures: np.ndarray
    keypoints: np.ndarray | None
    poses: np.ndarray | None


@dataclass(frozen=True)
class View:
    """How the maps are looked at."""

    selection: Selection = field(default_factory=Selection)
    focus: int | None = None
    pose: int | None = None
    round: int | None = None
    choice: MapChoice = field(default_factory=MapChoice)
    colours: tuple[str, str] = ("landmark", "pose")

    def colour_of(self, what: str) -> str:
        """What the points of a map are coloured by."""
        return self.colours[0] if what == "keypoints" else self.colours[1]


def placed(data: OpenedRun, what: str, view: View) -> Placed | None:
    """The points of a map; of one that is not drawn yet (another choice), the run's own."""
    if view.round is not None:
        return mapping.placed(data.run, what, view.round)
    return mapping.placed(data.run, what, None, view.choice) or mapping.placed(data.run, what)


def choices(data: OpenedRun | None, what: str) -> list[tuple[str, str]]:
    """(words, name) of what the points of a map can be coloured by in this run."""
    return [(COLOURS[name], name) for name in OF_MAP[what] if data is not None and _known(data, name)]


def _known(data: OpenedRun, name: str) -> bool:
    if name == "pose":
        return data.poses is not None
    if name == "yaw":
        return data.annotations is not None and data.annotations.yaw is not None
    return name != "folder" or any("/" in picture for picture in data.images.names)


def colouring(data: OpenedRun, what: str, name: str, rows: np.ndarray) -> Colouring:
    """The groups of the keypoints or pictures in `rows`; by landmark or in one colour where it is not known."""
    points = data.keypoints
    if what == "keypoints" and points is not None:
        labels, image = data.edited.labels[rows], points.image[rows]
        if name == "score":
            return by_value(_scores(data)[rows])
        if name in ("landmark", "seen") or not _known(data, name):
            return by_number(labels, short_names(data.landmarks), data.landmarks.numbers)
        return _of_pictures(data, name).take(image)
    return _of_pictures(data, name if _known(data, name) else "seen").take(rows)


def short_names(landmarks: Landmarks) -> list[str]:
    """Numbers, with the names that a person gave."""
    numbered = zip(landmarks.numbers, landmarks.titles, strict=True)
    return [str(n + 1) if title == f"landmark_{n + 1}" else f"{n + 1} {title}" for n, title in numbered]


def _of_pictures(data: OpenedRun, name: str) -> Colouring:
    if name == "pose" and data.poses is not None:
        count = int(data.poses.cluster.max()) + 1
        return by_number(data.poses.cluster, [f"pose {q + 1}" for q in range(count)])
    if name == "yaw" and data.annotations is not None and data.annotations.yaw is not None:
        return by_value(data.annotations.yaw, digits=0, symmetric=True)
    if name == "folder":
        return by_folder(data.images.names)
    return by_value(data.landmarks.seen.sum(1).astype(float), digits=0)


def _scores(data: OpenedRun) -> np.ndarray:
    """(P,) the score of every keypoint; NaN where its landmark has gone."""
    points, labels = data.keypoints, data.edited.labels
    assert points is not None
    known = labels >= 0
    scores = np.full(len(labels), np.nan)
    scores[known] = data.landmarks.score[points.image[known], labels[known]]
    return scores


def linked(data: OpenedRun, view: View) -> Linked:
    """What the selection, the landmark and the pose cluster that are chosen leave of pictures and of both maps."""
    maps = {what: placed(data, what, view) for what in WORDS}
    pictures, points = np.ones(len(data.images), bool), None
    if view.selection and (map_of := maps[view.selection.on]) is not None:
        colours = colouring(data, view.selection.on, view.colour_of(view.selection.on), map_of.rows)
        chosen = view.selection.mask(map_of, colours)
        pictures, points = _pictures_of(data, view.selection.on, map_of.rows[chosen])
    if view.pose is not None and data.poses is not None:
        pictures = pictures & (data.poses.cluster == view.pose)
    if view.focus is not None and view.focus < data.landmarks.present.shape[1]:
        pictures = pictures & data.landmarks.seen[:, view.focus]
    anything = bool(view.selection) or view.pose is not None or view.focus is not None
    return Linked(pictures, *(_marked(data, what, maps[what], pictures, points, view, anything) for what in WORDS))


def _pictures_of(data: OpenedRun, on: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(N,) the pictures of the selected points, and (all keypoints,) the selected ones where it is keypoints."""
    pictures = np.zeros(len(data.images), bool)
    if on == "poses" or data.keypoints is None:
        pictures[rows] = True
        return pictures, None
    pictures[data.keypoints.image[rows]] = True
    points = np.zeros(len(data.keypoints.label), bool)
    points[rows] = True
    return pictures, points


def _marked(
    data: OpenedRun,
    what: str,
    map_of: Placed | None,
    pictures: np.ndarray,
    points: np.ndarray | None,
    view: View,
    anything: bool,
) -> np.ndarray | None:
    if map_of is None or not anything:
        return None
    if what == "poses":
        return pictures[map_of.rows]
    assert data.keypoints is not None
    chosen = pictures[data.keypoints.image[map_of.rows]]
    if points is not None:
        chosen = chosen & points[map_of.rows]
    if view.focus is not None:
        chosen = chosen & (data.edited.labels[map_of.rows] == view.focus)
    return np.asarray(chosen)


# ---------------------------------------------------------------- for the component


def points(data: OpenedRun | None, what: str, view: View) -> dict[str, Any]:
    """The `points` of a map's component; nothing before the map is drawn."""
    map_of = None if data is None else placed(data, what, view)
    if data is None or map_of is None:
        return scatter.NOTHING
    same = f"{data.run.id}/{what}/{len(map_of.rows)}"
    return scatter.points_of(map_of.xy, f"{same}/{data.stamp}/{view.round}/{view.choice}", WORDS[what], same)


def paint(data: OpenedRun | None, what: str, view: View) -> dict[str, Any]:
    """The `paint` of a map's component."""
    map_of = None if data is None else placed(data, what, view)
    if data is None or map_of is None:
        return scatter.NOTHING
    groups = colouring(data, what, view.colour_of(what), map_of.rows)
    revision = f"{data.run.id}/{what}/{len(map_of.rows)}/{data.stamp}/{view.round}/{view.colour_of(what)}"
    return scatter.paint_of(groups.group, groups.names, groups.colours, revision)


def tiles(data: OpenedRun | None, what: str, view: View, ticket: str) -> dict[str, Any]:
    """The `tiles` of a map's component. ticket: what lets its holder ask for tiles of this run."""
    map_of = None if data is None else placed(data, what, view)
    if data is None or map_of is None:
        return scatter.NOTHING
    small = len(map_of.rows) <= MOST_TILES
    sheet = _sheet(str(data.run.folder), data.stamp, what, map_of.rows.tobytes()) if small else ""
    return scatter.tiles_of(sheet, COLUMNS, f"{ticket}/{what}")


@lru_cache(maxsize=12)
def _sheet(folder: str, stamp: str, what: str, rows: bytes) -> str:
    data = open_run_data(Run(Path(folder)))
    return "" if data is None else sheet(data, what, np.frombuffer(rows, np.int64))


def sheet(data: OpenedRun, what: str, rows: np.ndarray) -> str:
    """The address of one sheet with a tile for each keypoint (its patch) or picture in `rows`."""
    if what == "poses" or data.keypoints is None:
        return patches.picture_atlas(data.images, rows, COLUMNS)
    return patches.atlas(data.images, data.keypoints.xy[rows], data.keypoints.image[rows], COLUMNS)
