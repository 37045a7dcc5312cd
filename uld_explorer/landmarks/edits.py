"""What a person changed about discovered landmarks: names, hidden ones, merged, split and swapped ones.

Edits are a list that is replayed on whatever a method found, so that a run, its exports and its predictions on new
pictures agree, and the last edit can always be taken back. A landmark is known by its key: its number when it was
found, or the next free one for what was split off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from uld_explorer.types import Found, Keypoints, Landmarks, UserError

KINDS = ("rename", "hide", "show", "merge", "split", "swap")
LONGEST_NAME = 60
MOST_EDITS = 1000
FEWEST_TO_SPLIT = 8


@dataclass(frozen=True)
class Edit:
    """One change.

    landmark  key of the landmark it is about
    other     merge: the key that goes into it; swap: the key it changes places with; split: the key of what comes off
    name      rename: the new name
    pose      swap: only in the pictures of this pose cluster; -1: in all
    centres   split: two unit descriptors; keypoints nearer to the second one come off
    """

    kind: str
    landmark: int
    other: int = -1
    name: str = ""
    pose: int = -1
    centres: tuple[tuple[float, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Edit:
        """The inverse of `to_json`.

        Raises:
            UserError: the record is not one of an edit.
        """
        try:
            centres = tuple(tuple(float(v) for v in centre) for centre in record.get("centres", ()))
            numbers = {key: int(record.get(key, -1)) for key in ("landmark", "other", "pose")}
            edit = cls(str(record["kind"]), name=str(record.get("name", "")), centres=centres, **numbers)
        except (KeyError, TypeError, ValueError):
            raise UserError("The list of edits is damaged: remove edits.json to begin again.") from None
        if edit.kind not in KINDS:
            raise UserError(f"There is no edit '{edit.kind}': use {', '.join(KINDS)}.")
        return edit


@dataclass(frozen=True)
class Column:
    """One landmark in N pictures: xy (N, 2), present, guessed (N,) bool, score (N,), at (N,) keypoint rows or -1."""

    xy: np.ndarray
    present: np.ndarray
    score: np.ndarray
    guessed: np.ndarray
    at: np.ndarray

    def where(self, rows: np.ndarray, other: Column) -> Column:
        """This one, with the other's values in `rows` (N,) bool."""
        return Column(
            np.where(rows[:, None], other.xy, self.xy),
            np.where(rows, other.present, self.present),
            np.where(rows, other.score, self.score),
            np.where(rows, other.guessed, self.guessed),
            np.where(rows, other.at, self.at),
        )

    def nowhere(self) -> Column:
        """The same number of pictures, the landmark in none of them."""
        count, none = len(self.present), np.zeros(len(self.present), bool)
        return Column(np.full((count, 2), np.nan), none, np.zeros(count, np.float32), none, np.full(count, -1))


@dataclass(frozen=True)
class Edited:
    """Found landmarks after all edits.

    found  what is exported and predicted: neither hidden nor merged landmarks, with their names
    keys   key of each of its landmarks
    hidden  keys and names of those that are hidden
    labels  (P,) for each keypoint before the edits the number of its landmark among `keys`; -1 where it has none now
    """

    found: Found
    keys: tuple[int, ...]
    hidden: dict[int, str]
    labels: np.ndarray


def apply_edits(found: Found, edits: Sequence[Edit]) -> Edited:
    """Replay edits, oldest first. An edit of a landmark that is not there changes nothing.

    Raises:
        UserError: an edit that can never be, such as a merger with itself.
    """
    columns = _columns(found)
    names = {key: f"landmark_{key + 1}" for key in columns}
    hidden: dict[int, str] = {}
    for edit in edits:
        if edit.landmark not in columns:
            continue
        if edit.kind == "rename":
            names[edit.landmark] = edit.name
        elif edit.kind == "hide":
            hidden[edit.landmark] = ""
        elif edit.kind == "show":
            hidden.pop(edit.landmark, None)
        elif edit.kind == "split":
            columns |= _split(columns[edit.landmark], edit, found.keypoints)
            names.setdefault(edit.other, f"{names[edit.landmark]}_b")
        elif edit.other in columns and edit.other != edit.landmark:
            columns |= _pair(columns, edit, found)
            if edit.kind == "merge":
                del columns[edit.other]
                hidden.pop(edit.other, None)
    keys = tuple(key for key in columns if key not in hidden)
    shown = _found([columns[key] for key in keys], tuple(names[key] for key in keys), keys, found)
    labels = np.full(len(found.keypoints.label), -1)
    for number, key in enumerate(keys):
        labels[columns[key].at[columns[key].at >= 0]] = number
    return Edited(shown, keys, {key: names[key] for key in hidden}, labels)


def _pair(columns: dict[int, Column], edit: Edit, found: Found) -> dict[int, Column]:
    """Both landmarks of a merger or a swap, changed."""
    one, two = columns[edit.landmark], columns[edit.other]
    if edit.kind == "swap":
        rows = np.ones(len(one.present), bool)
        if edit.pose >= 0:
            rows = rows & (found.poses is not None and found.poses.cluster == edit.pose)
        return {edit.landmark: one.where(rows, two), edit.other: two.where(rows, one)}
    seen_one, seen_two = one.present & ~one.guessed, two.present & ~two.guessed
    better = seen_two & (~seen_one | (two.score > one.score)) | (two.present & ~one.present)
    return {edit.landmark: one.where(better, two)}


def _split(column: Column, edit: Edit, keypoints: Keypoints) -> dict[int, Column]:
    """The landmark and what comes off it: the pictures whose keypoint is nearer to the second centre."""
    centres = np.array(edit.centres, np.float32)
    if centres.shape != (2, keypoints.descriptor.shape[1]):
        return {edit.landmark: column, edit.other: column.nowhere()}  # made for other descriptors
    likeness = keypoints.descriptor @ centres.T
    off = (column.at >= 0) & (likeness[:, 1] > likeness[:, 0])[np.maximum(column.at, 0)]
    none = column.nowhere()
    return {edit.landmark: column.where(off, none), edit.other: none.where(off, column)}


def _columns(found: Found) -> dict[int, Column]:
    landmarks, points = found.landmarks, found.keypoints
    at = np.full(landmarks.present.shape, -1)
    at[points.image, points.label] = np.arange(len(points.label))
    guessed = np.zeros_like(landmarks.present) if landmarks.guessed is None else landmarks.guessed
    return {
        k: Column(landmarks.xy[:, k], landmarks.present[:, k], landmarks.score[:, k], guessed[:, k], at[:, k])
        for k in range(landmarks.present.shape[1])
    }


def _found(columns: list[Column], names: tuple[str, ...], keys: tuple[int, ...], before: Found) -> Found:
    """Columns as a finding again; keypoints follow their landmarks."""
    count = len(before.landmarks)
    if columns:
        xy, present, score, guessed, at = (
            np.stack([getattr(column, name) for column in columns], 1)
            for name in ("xy", "present", "score", "guessed", "at")
        )
    else:
        xy, at = np.zeros((count, 0, 2)), np.zeros((count, 0), int)
        present, score, guessed = (np.zeros((count, 0), kind) for kind in (bool, np.float32, bool))
    known = None if before.landmarks.guessed is None else guessed
    landmarks = Landmarks(xy, present, score.astype(np.float32), known, names, keys)
    image, label = np.nonzero(at >= 0)
    rows, points = at[image, label], before.keypoints
    kept = Keypoints(points.xy[rows], points.descriptor[rows], label, image)
    return replace(before, landmarks=landmarks, keypoints=kept)


# ---------------------------------------------------------------- making edits


def check_edit(edit: Edit, edits: Sequence[Edit], keys: Sequence[int], hidden: Sequence[int]) -> Edit:
    """The edit with its name tidied.

    Raises:
        UserError: it is about a landmark that is not there, or would leave none, or has no or an endless name.
    """
    if len(edits) >= MOST_EDITS:
        raise UserError(f"{MOST_EDITS} edits are kept at most: undo some first.")
    there = {*hidden} if edit.kind == "show" else {*keys}
    needed = [edit.landmark] + ([edit.other] if edit.kind in ("merge", "swap") else [])
    if not all(key in there for key in needed) or len(set(needed)) < len(needed):
        raise UserError("Choose two different landmarks." if len(needed) == 2 else "There is no such landmark.")
    if edit.kind in ("hide", "merge") and len(keys) < 3:
        raise UserError("At least two landmarks must stay.")
    if edit.kind != "rename":
        return edit
    name = " ".join("".join(letter for letter in edit.name if letter.isprintable()).split())
    if not name or len(name) > LONGEST_NAME:
        raise UserError(f"Give a name of 1 to {LONGEST_NAME} letters.")
    return replace(edit, name=name)


def split_edit(found: Found, edits: Sequence[Edit], landmark: int) -> Edit:
    """The edit that splits a landmark into its two looks: K-means with two centres of its keypoints' descriptors.

    Raises:
        UserError: it has too few keypoints.
    """
    from uld_explorer.landmarks.clustering import kmeans

    edited = apply_edits(found, edits)
    if landmark not in edited.keys:
        raise UserError("There is no such landmark.")
    points = edited.found.keypoints
    mine = points.descriptor[points.label == edited.keys.index(landmark)]
    if len(mine) < FEWEST_TO_SPLIT:
        raise UserError(f"A landmark that is seen fewer than {FEWEST_TO_SPLIT} times cannot be split.")
    centres = kmeans(mine, 2, seed=0)
    if (mine @ centres[1] > mine @ centres[0]).mean() > 0.5:
        centres = centres[::-1]  # the larger part keeps the number
    used = [found.landmarks.present.shape[1] - 1, *(e.other for e in edits if e.kind == "split")]
    rounded = tuple(tuple(round(float(v), 5) for v in centre) for centre in centres)
    return Edit("split", landmark, other=max(used) + 1, centres=rounded)
