"""From a run's folder to what the page shows. Reads the run, changes nothing."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from uld_explorer.analysis.report_file import load_report
from uld_explorer.events import RunView
from uld_explorer.runs import Run
from uld_explorer.types import ImageSet, Landmarks, Report
from uld_explorer.ui import gallery, scatter, status

EMPTY = '<div class="uld-empty">{}</div>'
NOTHING = EMPTY.format("No landmarks yet. Choose pictures on the left and press <b>Discover landmarks</b>.")
NOT_YET = EMPTY.format("The landmarks appear here as soon as they are found.")
INTERRUPTED = RunView(state="failed", message="The server was stopped before this run had ended. Start it again.")


def loaded(run: Run) -> tuple[ImageSet, Landmarks] | None:
    """The run's pictures and landmarks, or None before they are found."""
    landmarks, images = run.landmarks(), run.pictures()
    return None if landmarks is None or images is None else (images, landmarks)


def report_of(run: Run) -> Report | None:
    """The run's report, or None before it is made."""
    path = run.folder / "results" / "report.json"
    return load_report(path) if path.exists() else None


def header(run: Run) -> str:
    """One line about the run."""
    return status.facts(run.info(), run.settings())


def chips(run: Run, focus: int | None) -> str:
    """The landmark buttons."""
    data = loaded(run)
    return gallery.chips(data[1], focus) if data else ""


def known_landmark(run: Run, focus: int | None) -> int | None:
    """The chosen landmark where the run has it: another run may be on the page by now, and browsers say anything."""
    data = loaded(run)
    return focus if data and focus is not None and focus < data[1].present.shape[1] else None


def pictures(run: Run, page: int, focus: int | None, running: bool, pose: int | None = None) -> str:
    """The gallery, or words where there is none. A pose cluster that the run does not have shows all pictures."""
    data = loaded(run)
    if data is None:
        return NOT_YET if running else NOTHING
    poses = run.poses()
    known = poses is not None and pose is not None and bool((poses.cluster == pose).any())
    return gallery.gallery(*data, page, focus, poses, pose if known else None)


def one_picture(run: Run, row: int | None, focus: int | None) -> str:
    """One picture, large; nothing where none is chosen."""
    data = loaded(run)
    if data is None or row is None or not 0 <= row < len(data[0]):
        return ""
    return gallery.large(*data, run.regions(), row, focus)


@lru_cache(maxsize=16)
def _strips(folder: str, stamp: float, focus: int | None) -> str:
    data = loaded(Run(Path(folder)))
    return gallery.strips(*data, focus) if data else NOTHING


def strips(run: Run, focus: int | None) -> str:
    """The patches of every landmark, or of one."""
    return _strips(str(run.folder), stamp(run), focus)


@lru_cache(maxsize=8)
def _map_data(folder: str, stamp: float) -> dict[str, Any] | None:
    run = Run(Path(folder))
    points, placed, images = run.keypoints(), run.load_arrays("map"), run.pictures()
    if points is None or placed is None or images is None:
        return None
    columns, rows = 64, placed["rows"]
    sheet = gallery.atlas(images, points.xy[rows], points.image[rows], columns)
    return scatter.pack(placed["xy"], points.label[rows], sheet, gallery.PATCH, columns, f"{run.id}/{stamp}")


def map_data(run: Run, focus: int | None) -> dict[str, Any] | None:
    """The map of keypoints, with one landmark singled out; None before it is drawn."""
    data = _map_data(str(run.folder), stamp(run))
    return data and data | {"focus": focus}


def stamp(run: Run) -> float:
    """Changes when the results change."""
    file = run.folder / "results" / "map.safetensors"
    other = run.folder / "results" / "landmarks.safetensors"
    return sum(f.stat().st_mtime for f in (file, other) if f.exists())


def numbers(run: Run) -> str:
    """The figures as a table."""
    return status.numbers(report_of(run))


def state(run: Run, running: bool) -> str:
    """Progress or ending; nothing for the demo run. What nobody works on any more is not said to be running."""
    if run.id == "demo":
        return ""
    view = run.view()
    return status.progress(INTERRUPTED if not running and view.state in ("waiting", "running") else view)
