"""Edits of a run's folder: undo and redo, what is exported and predicted, and what was found stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.landmarks.test_edits import found
from tests.ui.conftest import keep_found, make_images
from uld_explorer import editing, workflow
from uld_explorer.landmarks.edits import Edit
from uld_explorer.runs import Run, create_run
from uld_explorer.types import UserError


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Twelve pictures with three landmarks."""
    return keep_found(create_run(tmp_path / "runs"), make_images(tmp_path / "pictures", 12), found())


def test_edits_are_replayed_and_nothing_that_was_found_changes(run: Run) -> None:
    before = (run.folder / "results" / "landmarks.safetensors").read_bytes()
    editing.change(run, Edit("merge", 0, other=1))
    editing.change(run, Edit("split", 0))
    now = editing.edited(run)
    assert now is not None and now.keys == (0, 2, 3)
    assert len(run.edits()["edits"][1]["centres"]) == 2, "the split keeps its centres, for new pictures"
    assert (run.folder / "results" / "landmarks.safetensors").read_bytes() == before


def test_undo_and_redo_until_there_is_nothing_left(run: Run) -> None:
    editing.change(run, Edit("rename", 0, name="nose"))
    editing.change(run, Edit("hide", 1))
    assert editing.undo(run) and editing.undo(run) and not editing.undo(run)
    assert editing.edited(run).keys == (0, 1, 2)  # type: ignore[union-attr]
    assert editing.redo(run) and editing.redo(run) and not editing.redo(run)
    assert editing.edited(run).found.landmarks.titles == ("nose", "landmark_3")  # type: ignore[union-attr]
    editing.undo(run)
    editing.change(run, Edit("rename", 2, name="ear"))
    assert not editing.redo(run), "another change ends what could be made again"


def test_exports_have_the_edits(run: Run, tmp_path: Path) -> None:
    editing.change(run, Edit("rename", 2, name="=evil"))
    editing.change(run, Edit("hide", 0))
    document = json.loads(workflow.export_run(run, "coco", tmp_path / "a.json").read_text())
    assert document["categories"][0]["keypoints"] == ["landmark_2", "=evil"]
    table = workflow.export_run(run, "csv", tmp_path / "a.csv").read_text()
    assert "'=evil" in table and "landmark_1" not in table


def test_a_run_without_landmarks_cannot_be_edited(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    assert editing.edited(run) is None
    with pytest.raises(UserError, match="no landmarks yet"):
        editing.change(run, Edit("hide", 0))


def test_a_run_that_was_stopped_has_landmarks_without_descriptors(run: Run) -> None:
    (run.folder / "results" / "keypoints.safetensors").unlink()
    now = editing.edited(run)
    assert now is not None and now.found.keypoints.descriptor.shape[1] == 1
    editing.change(run, Edit("hide", 1))
    np.testing.assert_array_equal(editing.edited(run).keys, [0, 2])  # type: ignore[union-attr]


def test_damaged_edits_are_told(run: Run) -> None:
    for damage in ("{", "[]", '{"edits": [{"kind": "explode", "landmark": 0}]}'):
        (run.folder / "edits.json").write_text(damage)
        with pytest.raises(UserError, match="edit"):
            editing.edited(run)
