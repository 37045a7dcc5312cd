"""Edits by hand: what mergers, splits, swaps, hiding and names change, what they leave alone, how they come back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from uld_explorer.landmarks.edits import Edit, apply_edits, check_edit, split_edit
from uld_explorer.types import Found, Keypoints, Landmarks, PoseCodes, UserError

COUNT, K = 12, 3


def found() -> Found:
    """Landmark 0 everywhere, 1 only in even pictures, 2 everywhere but guessed in odd ones."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 50, (COUNT, K, 2))
    present = np.ones((COUNT, K), bool)
    present[1::2, 1] = False
    guessed = np.zeros((COUNT, K), bool)
    guessed[1::2, 2] = True
    xy[~present] = np.nan
    score = np.where(present, [0.5, 0.9, 0.4], 0).astype(np.float32)
    image, label = np.nonzero(present & ~guessed)
    angle = 0.1 * label + np.where(image < 4, 0.0, 1.2)  # pictures 0...3 look different
    descriptor = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
    points = Keypoints(xy[image, label], descriptor, label, image)
    return Found(Landmarks(xy, present, score, guessed), points, PoseCodes(np.zeros((COUNT, 2)), np.arange(COUNT) % 3))


def test_no_edits_change_nothing_but_give_names() -> None:
    before = found()
    edited = apply_edits(before, ())
    np.testing.assert_array_equal(edited.found.landmarks.xy, before.landmarks.xy)
    np.testing.assert_array_equal(edited.found.keypoints.descriptor, before.keypoints.descriptor)
    assert edited.keys == (0, 1, 2) and edited.found.landmarks.names == ("landmark_1", "landmark_2", "landmark_3")


def test_a_merger_takes_the_better_of_both() -> None:
    """Landmark 1 scores higher where it is; 0 stays where 1 is not."""
    before = found()
    edited = apply_edits(before, [Edit("merge", 0, other=1)])
    assert edited.keys == (0, 2)
    np.testing.assert_array_equal(edited.found.landmarks.xy[::2, 0], before.landmarks.xy[::2, 1])
    np.testing.assert_array_equal(edited.found.landmarks.xy[1::2, 0], before.landmarks.xy[1::2, 0])
    points = edited.found.keypoints
    assert (points.label == 0).sum() == COUNT and set(points.label) == {0, 1}


def test_what_is_seen_beats_what_is_guessed_in_a_merger() -> None:
    before = found()
    edited = apply_edits(before, [Edit("merge", 2, other=0)]).found.landmarks
    assert edited.guessed is not None and not edited.guessed[:, -1].any()
    np.testing.assert_array_equal(edited.xy[:, 1], before.landmarks.xy[:, 0])


def test_a_swap_exchanges_and_twice_it_is_undone() -> None:
    before = found()
    swap = Edit("swap", 0, other=2)
    np.testing.assert_array_equal(apply_edits(before, [swap]).found.landmarks.xy[:, 0], before.landmarks.xy[:, 2])
    np.testing.assert_array_equal(apply_edits(before, [swap, swap]).found.landmarks.xy, before.landmarks.xy)


def test_a_swap_in_one_pose_leaves_the_others_alone() -> None:
    before = found()
    after = apply_edits(before, [Edit("swap", 0, other=2, pose=1)]).found.landmarks
    inside = np.arange(COUNT) % 3 == 1
    np.testing.assert_array_equal(after.xy[inside, 0], before.landmarks.xy[inside, 2])
    np.testing.assert_array_equal(after.xy[~inside], before.landmarks.xy[~inside])


def test_a_split_parts_the_two_looks() -> None:
    before = found()
    edit = split_edit(before, (), 0)
    assert edit.other == K
    after = apply_edits(before, [edit])
    assert after.keys == (0, 1, 2, 3)
    kept, off = after.found.landmarks.present[:, 0], after.found.landmarks.present[:, 3]
    np.testing.assert_array_equal(kept, np.arange(COUNT) >= 4)
    np.testing.assert_array_equal(off, np.arange(COUNT) < 4)
    merged = apply_edits(before, [edit, Edit("merge", 0, other=3)])
    np.testing.assert_array_equal(merged.found.landmarks.xy, before.landmarks.xy)
    foreign = Edit("split", 1, other=4, centres=((1.0, 0, 0), (0, 1.0, 0)))
    assert not apply_edits(before, [foreign]).found.landmarks.present[:, 3].any(), "centres of other descriptors"
    with pytest.raises(UserError, match="fewer than 8"):
        split_edit(before, (), 1)


def test_hidden_landmarks_are_left_out_and_come_back() -> None:
    before = found()
    hidden = apply_edits(before, [Edit("rename", 1, name="ear"), Edit("hide", 1)])
    assert hidden.keys == (0, 2) and hidden.hidden == {1: "ear"} and 1 not in {*hidden.found.keypoints.label} - {1}
    shown = apply_edits(before, [Edit("rename", 1, name="ear"), Edit("hide", 1), Edit("show", 1)])
    assert shown.found.landmarks.names[1] == "ear" and shown.hidden == {}


def test_an_edit_of_what_is_not_there_changes_nothing() -> None:
    before = found()
    for edit in (Edit("hide", 9), Edit("merge", 0, other=9), Edit("swap", 0, other=0)):
        assert apply_edits(before, [edit]).keys == (0, 1, 2)


def test_edits_survive_a_file() -> None:
    for edit in (Edit("rename", 0, name="ä <b>"), split_edit(found(), (), 0), Edit("swap", 1, other=2, pose=0)):
        assert Edit.from_json(json.loads(json.dumps(edit.to_json()))) == edit
    for damaged in ({}, {"kind": "explode", "landmark": 0}, {"kind": "hide", "landmark": "x"}):
        with pytest.raises(UserError):
            Edit.from_json(damaged)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Edit("hide", 5), "no such landmark"),
        (Edit("merge", 0, other=0), "two different"),
        (Edit("swap", 0, other=7), "two different"),
        (Edit("show", 0), "no such landmark"),
        (Edit("rename", 0, name=" \n\t "), "name of 1 to 60"),
        (Edit("rename", 0, name="x" * 61), "name of 1 to 60"),
    ],
)
def test_impossible_edits_are_refused(edit: Edit, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_edit(edit, (), (0, 1, 2), ())


def test_names_are_tidied_and_two_landmarks_stay() -> None:
    assert check_edit(Edit("rename", 0, name="  left \n eye\x00 "), (), (0, 1), ()).name == "left eye"
    with pytest.raises(UserError, match="two landmarks must stay"):
        check_edit(Edit("hide", 0), (), (0, 1), ())
