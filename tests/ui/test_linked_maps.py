"""Linked maps by hand: what a selection on one means for the other and for the pictures, with edits and filters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.landmarks.test_edits import found
from tests.ui.conftest import keep_found, make_images
from uld_explorer import editing
from uld_explorer.landmarks.edits import Edit
from uld_explorer.runs import Run, create_run
from uld_explorer.types import Annotations
from uld_explorer.ui import linked_maps
from uld_explorer.ui.linked_maps import View, linked
from uld_explorer.ui.opened_run import OpenedRun, open_run_data
from uld_explorer.ui.scatter import NOTHING
from uld_explorer.ui.selection import Selection
from uld_explorer.ui.tabs.explore import tile

ME = "0123456789abcdef" * 2


@pytest.fixture
def run(data_dir: Path, tmp_path: Path) -> Run:
    """Twelve pictures in two folders with three landmarks, maps on a grid: x is the picture's number."""
    from uld_explorer.ui import sessions

    run, some = create_run(sessions.visitor_dir(ME)), found()
    names = tuple(f"{'ab'[i % 2]}/{i}.jpg" for i in range(12))
    images = make_images(tmp_path / "pictures", 12, names)
    keep_found(run, images, some)
    points = some.keypoints
    run.save_arrays(
        "map",
        {"rows": np.arange(len(points.label)), "xy": np.stack([points.image, points.label], 1).astype(np.float32)},
    )
    run.save_arrays("pose_map", {"rows": np.arange(12), "xy": np.stack([np.arange(12), np.zeros(12)], 1)})
    truth = Annotations(
        np.zeros((12, 1, 2)), np.ones((12, 1), np.uint8), np.ones((12, 4)), ("p",), np.linspace(-60, 60, 12)
    )
    run.save_annotations(truth)
    return run


def data_of(run: Run) -> OpenedRun:
    data = open_run_data(run)
    assert data is not None
    return data


def test_nothing_selected_dims_nothing(run: Run) -> None:
    everything = linked(data_of(run), View())
    assert everything.pictures.all() and everything.keypoints is None and everything.poses is None


def test_pictures_bring_their_keypoints(run: Run) -> None:
    data = data_of(run)
    found = linked(data, View(Selection("poses", picks=(2, 5))))
    assert np.flatnonzero(found.pictures).tolist() == [2, 5]
    assert data.keypoints is not None and found.keypoints is not None
    np.testing.assert_array_equal(found.keypoints, np.isin(data.keypoints.image, [2, 5]))


def test_keypoints_bring_their_pictures_but_not_these_pictures_other_keypoints(run: Run) -> None:
    """A lasso around landmark 1, which only even pictures have."""
    around = ((-1.0, 0.5), (20.0, 0.5), (20.0, 1.5), (-1.0, 1.5))
    data = data_of(run)
    found = linked(data, View(Selection("keypoints", (around,))))
    assert np.flatnonzero(found.pictures).tolist() == [0, 2, 4, 6, 8, 10]
    assert data.keypoints is not None and found.keypoints is not None and found.poses is not None
    np.testing.assert_array_equal(found.keypoints, data.keypoints.label == 1)
    assert found.poses.sum() == 6


def test_filters_narrow_the_selection(run: Run) -> None:
    """Pose cluster 1 holds pictures 1, 4, 7, 10; landmark 1 is in the even ones."""
    data = data_of(run)
    found = linked(data, View(Selection("poses", picks=(1, 4, 5)), focus=1, pose=1))
    assert np.flatnonzero(found.pictures).tolist() == [4]
    assert found.keypoints is not None and found.keypoints.sum() == 1
    assert linked(data, View(focus=99)).pictures.all(), "a landmark that is not there filters nothing"


def test_groups_are_those_of_the_colours(run: Run) -> None:
    data = data_of(run)
    found = linked(data, View(Selection("poses", groups=(1,)), colours=("landmark", "folder")))
    assert np.flatnonzero(found.pictures).tolist() == [1, 3, 5, 7, 9, 11]


def test_colours_that_the_run_has(run: Run) -> None:
    data = data_of(run)
    assert [name for _, name in linked_maps.choices(data, "keypoints")] == [
        "landmark",
        "pose",
        "score",
        "yaw",
        "folder",
    ]
    assert linked_maps.choices(None, "poses") == []
    for what, names in linked_maps.OF_MAP.items():
        for name in names:
            map_of = linked_maps.placed(data, what, View())
            assert map_of is not None
            colours = linked_maps.colouring(data, what, name, map_of.rows)
            assert len(colours.group) == len(map_of.rows) and colours.group.max() < len(colours.names)


def test_edits_change_colours_and_not_places(run: Run) -> None:
    before = linked_maps.points(data_of(run), "keypoints", View())
    editing.change(run, Edit("merge", 0, other=1))
    editing.change(run, Edit("rename", 2, name="ear"))
    data = data_of(run)
    after = linked_maps.points(data, "keypoints", View())
    assert before is not None and after is not None and before["x"] == after["x"]
    paint = linked_maps.paint(data, "keypoints", View())
    assert paint is not None and [group["name"] for group in paint["groups"]] == ["1", "3 ear"]
    assert paint["groups"][1]["colour"] == "#009e73", "the third colour still"


def test_the_component_gets_nothing_before_there_is_a_map(tmp_path: Path) -> None:
    assert linked_maps.points(None, "poses", View()) == NOTHING == linked_maps.paint(None, "poses", View())
    assert linked_maps.tiles(None, "poses", View(), "t") == NOTHING


def test_tiles_are_one_sheet_or_asked_for_one_by_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_of(run)
    sheet = linked_maps.tiles(data, "poses", View(), f"{ME}/{run.id}")
    assert sheet is not None and sheet["atlas"].startswith("data:image/webp")
    monkeypatch.setattr(linked_maps, "MOST_TILES", 3)
    single = linked_maps.tiles(data, "poses", View(), f"{ME}/{run.id}")
    assert single is not None and single["atlas"] == ""
    assert tile(single["ticket"], 4).startswith("data:image/jpeg")
    assert tile(f"{ME}/{run.id}/keypoints", 4).startswith("data:image/jpeg")


@pytest.mark.parametrize(
    "ticket", ["", "x", f"{'f' * 32}/RUN/poses", f"{ME}/../demo/poses", f"{ME}/RUN/evil", f"{ME}/RUN"], ids=str
)
def test_a_ticket_of_nobody_gets_nothing(run: Run, ticket: str) -> None:
    assert tile(ticket.replace("RUN", run.id), 0) == ""
    for index in (-1, 10**5, "0x", None, 1.5):
        assert tile(f"{ME}/{run.id}/poses", index) == ""  # type: ignore[arg-type]
