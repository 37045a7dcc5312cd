"""Editing the landmarks of a run: what they are now, changing them, undo and redo. What was found stays as it is."""

from __future__ import annotations

import numpy as np

from uld_explorer.landmarks.detector import edits_in
from uld_explorer.landmarks.edits import Edit, Edited, apply_edits, check_edit, split_edit
from uld_explorer.runs import Run
from uld_explorer.types import Found, Keypoints, Landmarks, UserError


def found_in(run: Run) -> Found | None:
    """What the run's method found, before any edit; None before that."""
    landmarks = run.landmarks()
    if landmarks is None:
        return None
    points, poses = run.keypoints(), run.poses()
    known = poses if poses is not None and len(poses.cluster) == len(landmarks) else None
    return Found(landmarks, points or _undescribed(landmarks), known)


def _undescribed(landmarks: Landmarks) -> Keypoints:
    """Keypoints of a run that was stopped in its training: its landmarks have places, but no descriptors were kept."""
    image, label = np.nonzero(landmarks.seen)
    return Keypoints(landmarks.xy[image, label], np.zeros((len(image), 1), np.float32), label, image)


def edited(run: Run) -> Edited | None:
    """The run's landmarks as a person left them; None before they are found."""
    found = found_in(run)
    return None if found is None else apply_edits(found, edits_in(run.folder))


def change(run: Run, edit: Edit) -> None:
    """Add one edit. A split is made from its landmark's keypoints here.

    Raises:
        UserError: the edit cannot be; the run has no landmarks.
    """
    found, edits = found_in(run), edits_in(run.folder)
    if found is None:
        raise UserError("This run has no landmarks yet.")
    now = apply_edits(found, edits)
    checked = check_edit(edit, edits, now.keys, tuple(now.hidden))
    if checked.kind == "split":
        checked = split_edit(found, edits, checked.landmark)
    run.save_edits([*run.edits()["edits"], checked.to_json()], [])


def undo(run: Run) -> bool:
    """Take the last edit back; False where there is none."""
    record = run.edits()
    if not record["edits"]:
        return False
    run.save_edits(record["edits"][:-1], [*record["undone"], record["edits"][-1]])
    return True


def redo(run: Run) -> bool:
    """Make the edit that was taken back last again; False where there is none."""
    record = run.edits()
    if not record["undone"]:
        return False
    run.save_edits([*record["edits"], record["undone"][-1]], record["undone"][:-1])
    return True
