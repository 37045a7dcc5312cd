"""A run's folder gives back what was put in, and no name from outside leads out of the folder of runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uld_explorer.data.images import load_rgb
from uld_explorer.events import Event, note, progress
from uld_explorer.runs import THUMB, Run, create_run, delete_run, list_runs, open_run, write_json
from uld_explorer.types import Annotations, ImageSet, Keypoints, Landmarks, PoseCodes, Regions, Skipped, UserError

RNG = np.random.default_rng(0)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path / "runs", title="things")


def test_a_new_run_has_an_id_of_its_own_and_can_be_opened(tmp_path: Path) -> None:
    first, second = create_run(tmp_path, title="../../etc"), create_run(tmp_path, title="../../etc")
    assert first.id != second.id
    assert first.folder.parent == tmp_path
    again = open_run(tmp_path, first.id)
    assert again == first
    assert again.info()["title"] == "../../etc" and again.info()["id"] == first.id


@pytest.mark.parametrize(
    "name",
    ["../secret", "..", ".", "", "/", "20240101-000000-abcdef/../../secret", "20240101-000000-abcdef\n", "demo/", "x"],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    runs, secret = tmp_path / "runs", tmp_path / "secret"
    for folder in (runs, secret, runs / "20240101-000000-abcdef", runs / "x"):
        folder.mkdir()
        write_json(folder / "run.json", {})
    with pytest.raises(UserError, match="no such run"):
        open_run(runs, name)
    assert open_run(runs, "20240101-000000-abcdef")


def test_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for name in ("demo", "20240101-000000-abcdef"):
        with pytest.raises(UserError, match="no such run"):
            open_run(tmp_path, name)


def test_a_folder_given_by_the_user_is_used_if_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "deep" / "new"):
        assert create_run(tmp_path, folder=folder).folder == folder
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "holiday.jpg").write_bytes(b"dear")
    (tmp_path / "file").write_bytes(b"dear")
    for taken in (tmp_path / "full", tmp_path / "file", tmp_path / "empty"):
        with pytest.raises(UserError, match="--out"):
            create_run(tmp_path, folder=taken)
    assert (tmp_path / "full" / "holiday.jpg").read_bytes() == b"dear"


def test_runs_are_listed_newest_first_and_other_folders_are_not(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []
    (tmp_path / "not a run").mkdir()
    names = ["20240101-000000-aaaaaa", "20250101-000000-aaaaaa", "20240601-000000-aaaaaa"]
    for name in names:
        create_run(tmp_path, folder=tmp_path / name)
    assert [run.id for run in list_runs(tmp_path)] == sorted(names, reverse=True)
    delete_run(open_run(tmp_path, names[0]))
    assert len(list_runs(tmp_path)) == 2


def test_facts_are_added_to_those_there(run: Run) -> None:
    run.update_info(images=3)
    run.update_info(images=4, method="zeroshot")
    assert (run.info()["images"], run.info()["method"], run.info()["title"]) == (4, "zeroshot", "things")
    assert not list(run.folder.glob("*.tmp"))


def test_an_empty_run_has_nothing_and_says_so(run: Run) -> None:
    assert run.settings() == {} and list(run.events()) == [] and run.view().state == "waiting"
    assert run.landmarks() is None and run.regions() is None and run.pictures() is None


def test_events_are_read_back_in_order(run: Run) -> None:
    events = [progress("reading", 1, 2), note("reading", "naïve – “quoted”\u2028x"), Event("done", "reading")]
    for event in events:
        run.append(event)
    assert list(run.events()) == events
    assert run.view().state == "done"


def test_a_half_written_event_is_left_for_later(run: Run) -> None:
    first, second = progress("reading", 1, 2), progress("reading", 2, 2)
    run.append(first)
    line = second.to_json() + "\n"
    with (run.folder / "events.jsonl").open("a") as file:
        file.write(line[:20])
    assert list(run.events()) == [first]
    with (run.folder / "events.jsonl").open("a") as file:
        file.write(line[20:])
    assert list(run.events()) == [first, second]


def test_what_a_killed_writer_left_does_not_hide_the_later_events(run: Run) -> None:
    run.append(progress("reading", 1, 2))
    with (run.folder / "events.jsonl").open("a") as file:
        file.write('{"kind": "progr')
    run.append(progress("lost with the half line", 2, 2))
    run.append(Event("done", "reading"))
    assert [event.kind for event in run.events()] == ["progress", "done"]


def test_landmarks_survive(run: Run) -> None:
    present = RNG.random((4, 3)) < 0.7
    xy = np.where(present[..., None], RNG.uniform(0, 100, (4, 3, 2)), np.nan)
    run.save_landmarks(Landmarks(xy, present, RNG.random((4, 3)).astype(np.float32)))
    found = run.landmarks()
    assert found is not None
    assert (found.xy.dtype, found.present.dtype, found.score.dtype) == (np.float64, np.bool_, np.float32)
    np.testing.assert_array_equal(found.xy, xy)
    np.testing.assert_array_equal(found.present, present)


@pytest.mark.parametrize("masked", [False, True])
def test_regions_survive(run: Run, masked: bool) -> None:
    masks = RNG.random((4, 8, 8)) < 0.5 if masked else None
    boxes = np.asfortranarray(RNG.uniform(0, 100, (4, 4)))
    run.save_regions(Regions(boxes, np.arange(4.0), masks, "foreground"))
    found = run.regions()
    assert found is not None and found.source == "foreground"
    np.testing.assert_array_equal(found.boxes, boxes)
    np.testing.assert_array_equal(found.angles, np.arange(4.0))
    if masks is None:
        assert found.masks is None
    else:
        np.testing.assert_array_equal(found.masks, masks)


def test_keypoints_survive(run: Run) -> None:
    assert run.keypoints() is None
    points = Keypoints(RNG.random((5, 2)), RNG.random((5, 7)).astype(np.float32), np.arange(5), np.arange(5))
    run.save_keypoints(points)
    found = run.keypoints()
    assert found is not None
    for name in ("xy", "descriptor", "label", "image"):
        np.testing.assert_array_equal(getattr(found, name), getattr(points, name))


@pytest.mark.parametrize("yaw", [None, np.array([-30.0, 12.5])])
def test_annotations_survive(run: Run, yaw: np.ndarray | None) -> None:
    assert run.annotations() is None
    truth = Annotations(RNG.random((2, 3, 2)), np.full((2, 3), 2, np.uint8), RNG.random((2, 4)), ("a", "b", "ü"), yaw)
    run.save_annotations(truth)
    found = run.annotations()
    assert found is not None and found.names == truth.names and found.iod is None
    np.testing.assert_array_equal(found.xy, truth.xy)
    assert (found.yaw is None) == (yaw is None) and (yaw is None or (found.yaw == yaw).all())


def test_pictures_survive_as_small_copies(run: Run, tmp_path: Path) -> None:
    paths = []
    for i, size in enumerate([(600, 300), (40, 50)]):
        paths.append(tmp_path / f"{i}.png")
        Image.new("RGB", size, (200, 30 + i, 90)).save(paths[-1])
    sizes = np.array([[600, 300], [40, 50]])
    images = ImageSet(("a", "b"), ("ä.png", "s/b.png"), tuple(paths), sizes, (Skipped("c.txt", "why"),), label="mine")
    run.save_pictures(images)
    events = list(run.iter_save_thumbs(images))
    assert events[0].total == 2
    for path in paths:
        path.unlink()
    kept = run.pictures()
    assert kept is not None
    assert (kept.ids, kept.names, kept.skipped, kept.label) == (images.ids, images.names, images.skipped, "mine")
    np.testing.assert_array_equal(kept.sizes, sizes)
    assert [load_rgb(path).shape[:2] for path in kept.paths] == [(THUMB // 2, THUMB), (50, 40)]
    assert np.abs(load_rgb(kept.paths[1]).astype(int) - [200, 31, 90]).max() < 6


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_guessed_landmarks_and_poses_survive(run: Run) -> None:
    xy, present = np.random.default_rng(0).uniform(size=(4, 2, 2)), np.ones((4, 2), bool)
    guessed = np.eye(4, 2, dtype=bool)
    run.save_landmarks(Landmarks(xy, present, present.astype(np.float32), guessed))
    kept = run.landmarks()
    assert kept is not None
    np.testing.assert_array_equal(kept.seen, ~guessed)
    assert run.poses() is None
    run.save_poses(PoseCodes(np.eye(4, dtype=np.float32), np.arange(4)))
    poses = run.poses()
    assert poses is not None
    np.testing.assert_array_equal(poses.cluster, np.arange(4))


def test_arrays_of_an_event_become_a_file_that_the_event_names(run: Run) -> None:
    heat = np.random.default_rng(0).uniform(size=(2, 3)).astype(np.float32)
    run.append(Event("artifact", "training", data={"name": "round_1", "found": 0.5}, arrays={"heat": heat}))
    kept = run.load_arrays("round_1")
    assert kept is not None
    np.testing.assert_array_equal(kept["heat"], heat)
    (event,) = run.events()
    assert event.data == {"name": "round_1", "found": 0.5} and not event.arrays


def test_a_run_that_has_not_finished_is_gone_on_with_where_that_is_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    run = create_run(tmp_path, folder=folder)
    assert create_run(tmp_path, folder=folder, resume=True).folder == folder
    with pytest.raises(UserError, match="not empty"):
        create_run(tmp_path, folder=folder)
    run.update_info(finished=1.0)
    with pytest.raises(UserError, match="not empty"):
        create_run(tmp_path, folder=folder, resume=True)
